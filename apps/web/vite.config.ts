import tailwindcss from "@tailwindcss/vite";
import react from "@vitejs/plugin-react";
import { defineConfig } from "vite";

/** Where `npm run dev -w @espalier/web` sends the API's calls. */
const controlPlane = process.env["ESPALIER_URL"] ?? "http://127.0.0.1:7878";

export default defineConfig({
  plugins: [react(), tailwindcss()],
  build: {
    target: "es2023",
    // Names the first page's files for the size check.
    manifest: true,
    // Inlined files would need `data:` in the content security policy.
    assetsInlineLimit: 0,
    rolldownOptions: {
      // The trunk's and the contract's modules do nothing on import, so what the pages do not use is left out.
      treeshake: { moduleSideEffects: (id) => !/\/packages\/(core|contract)\/src\//.test(id) },
    },
  },
  server: { proxy: { "/api": controlPlane } },
});
