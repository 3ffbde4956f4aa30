/** Quiet by default, dark where the reader is; no font, script or image is fetched. */
export const pageStyle = `
:root{color-scheme:light dark;--paper:#fbfaf7;--card:#fff;--ink:#22271f;--soft:#6b7265;--line:#e4e3da;--accent:#3d7a4a;--band:#3d7a4a22;--second:#b07a1e;--third:#4a6fa5;--good:#3d7a4a;--bad:#b3412f;--quiet:#8b8f84}
@media (prefers-color-scheme:dark){:root{--paper:#171a16;--card:#1e221d;--ink:#e5e8df;--soft:#9aa292;--line:#31372f;--accent:#8cc495;--band:#8cc49526;--second:#dfb163;--third:#8fb0df;--good:#8cc495;--bad:#e58a76;--quiet:#7d8478}}
*{box-sizing:border-box}
body{margin:0;background:var(--paper);color:var(--ink);font:15px/1.55 ui-sans-serif,system-ui,-apple-system,"Segoe UI",Roboto,"Helvetica Neue",sans-serif}
main{max-width:960px;margin:0 auto;padding:56px 28px 96px}
h1{font-size:30px;line-height:1.2;font-weight:650;letter-spacing:-.015em;margin:0 0 6px}
h2{font-size:18px;font-weight:650;margin:56px 0 14px;letter-spacing:-.005em}
p{margin:0 0 8px}.lead{font-size:17px;color:var(--ink)}.soft{color:var(--soft)}
ol.milestones{list-style:none;padding:0;margin:0;border-top:1px solid var(--line)}
ol.milestones>li{display:grid;grid-template-columns:34px 150px 1fr;gap:14px;padding:12px 0;border-bottom:1px solid var(--line)}
.number{width:26px;height:26px;border-radius:50%;border:1.5px solid var(--accent);color:var(--accent);display:grid;place-items:center;font-size:12px;font-weight:650;font-variant-numeric:tabular-nums}
.empty .number{border-color:var(--quiet);color:var(--quiet)}
.milestones b{font-weight:600}.milestones p{margin:0 0 3px;overflow-wrap:anywhere}.milestones p+p{color:var(--soft);font-size:14px}
figure{margin:14px 0 24px;background:var(--card);border:1px solid var(--line);border-radius:10px;padding:16px 18px 12px}
figcaption{font-size:13px;color:var(--soft);margin-bottom:8px}figcaption b{color:var(--ink);font-size:14px;font-weight:600;margin-right:6px}
svg{display:block;width:100%;height:auto;font-size:11.5px}
.grid{stroke:var(--line)}.tick{stroke:var(--quiet)}.axis{fill:var(--soft)}
.limit{stroke:var(--bad);stroke-dasharray:4 4;stroke-width:1.2}.name{font-size:11.5px}.name.limit{fill:var(--bad);stroke:none}
.series polyline{fill:none;stroke:currentColor;stroke-width:2;stroke-linejoin:round}.series circle{fill:currentColor}
.accent{color:var(--accent)}.second{color:var(--second)}.third{color:var(--third)}.faint{color:var(--quiet);opacity:.75}.name{fill:currentColor}
.series.faint polyline{stroke-width:1}.band{fill:var(--band);stroke:none}.alert{fill:var(--bad)}
.mark line{stroke:currentColor;stroke-width:1;stroke-dasharray:2 3}.mark circle{fill:var(--card);stroke:currentColor;stroke-width:1.4}.mark text{fill:currentColor;font-size:10.5px;font-weight:700}
.good{color:var(--good)}.bad{color:var(--bad)}.quiet{color:var(--quiet)}
.gate line{stroke:currentColor;stroke-width:3;stroke-linecap:round}.gate circle{fill:var(--card);stroke:currentColor;stroke-width:2.5}.said{fill:currentColor;font-weight:600}
table{margin-bottom:18px;border-collapse:collapse;width:100%;font-size:13.5px;font-variant-numeric:tabular-nums}th{font-weight:600;color:var(--soft);text-align:left}td:first-child{white-space:nowrap}td,th{padding:6px 14px 6px 0;border-bottom:1px solid var(--line);vertical-align:top}
details{margin:10px 0}summary{cursor:pointer;color:var(--soft)}
.pill{display:inline-block;border:1px solid currentColor;border-radius:99px;padding:0 9px;font-size:12px;font-weight:600;white-space:nowrap}
ol.chain{list-style:none;margin:0;padding:0}.chain li{position:relative;padding:0 0 16px 30px}.chain li:before{content:"";position:absolute;left:5px;top:7px;width:9px;height:9px;border-radius:50%;background:var(--accent)}.chain li:not(:last-child):after{content:"";position:absolute;left:9px;top:18px;bottom:-5px;border-left:1.5px solid var(--line)}
.chain small{color:var(--soft);display:block;font-size:13px;overflow-wrap:anywhere}.kind{color:var(--soft);font-size:12px;margin-right:8px}
footer{margin-top:64px;color:var(--soft);font-size:13px;border-top:1px solid var(--line);padding-top:14px}
@media (max-width:640px){ol.milestones>li{grid-template-columns:34px 1fr}ol.milestones>li>div{grid-column:2}main{padding:32px 18px 64px}}
@media print{figure{break-inside:avoid}main{padding:0}}
`;
