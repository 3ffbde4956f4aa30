import { type ReactNode, useEffect } from "react";

/** The frame of every page: its title (in the tab as well), what stands beside it, its content. */
export function Page({
  title,
  documentTitle,
  aside,
  children,
  wide = false,
}: {
  title: ReactNode;
  /** The tab's title where `title` is not text. */
  documentTitle?: string;
  aside?: ReactNode;
  children: ReactNode;
  wide?: boolean;
}) {
  const name = documentTitle ?? (typeof title === "string" ? title : "");
  useEffect(() => {
    document.title = name === "" ? "Espalier" : `${name} · Espalier`;
  }, [name]);
  return (
    <div className={`mx-auto w-full px-4 py-6 sm:px-8 sm:py-8 ${wide ? "max-w-[110rem]" : "max-w-7xl"}`}>
      <header className="mb-6 flex flex-wrap items-center justify-between gap-x-6 gap-y-3">
        <h1 className="text-[28px] leading-tight wrap-anywhere">{title}</h1>
        {aside !== undefined && <div className="flex flex-wrap items-center gap-2">{aside}</div>}
      </header>
      {children}
    </div>
  );
}
