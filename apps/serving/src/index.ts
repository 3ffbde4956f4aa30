export { createModelServer, type ModelServer, type ModelServerOptions } from "./model-server.ts";
export { createRouter, type Router, type RouterOptions } from "./router/router.ts";
