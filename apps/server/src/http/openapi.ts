import { errorBodySchema, type RouteDefinition, routes } from "@espalier/contract";
import { jsonSchema } from "@espalier/core";
import { z } from "zod";

type Document = Record<string, unknown>;

/** OpenAPI 3.1 of the whole contract. Made on demand; nothing of it stays in memory. */
export async function openApiDocument(version: string): Promise<Document> {
  const [{ default: fastify }, { default: swagger }, provider] = await Promise.all([
    import("fastify"),
    import("@fastify/swagger"),
    import("fastify-type-provider-zod"),
  ]);
  // A schema that contains itself needs a name.
  const schemaRegistry = z.registry<{ id: string }>();
  schemaRegistry.add(jsonSchema, { id: "Json" });
  const app = fastify();
  app.setValidatorCompiler(provider.validatorCompiler);
  app.setSerializerCompiler(() => JSON.stringify);
  await app.register(swagger, {
    openapi: {
      openapi: "3.1.0",
      info: { title: "Espalier", version, description: "The control plane's API." },
      components: { securitySchemes: { token: { type: "http", scheme: "bearer" } } },
      security: [{ token: [] }],
    },
    transform: provider.createJsonSchemaTransform({ schemaRegistry }),
    transformObject: provider.createJsonSchemaTransformObject({ schemaRegistry }),
  });
  for (const [name, route] of Object.entries(routes) as [string, RouteDefinition][]) {
    app.route({ method: route.method, url: route.path, schema: schemaOf(name, route), handler: () => undefined });
  }
  await app.ready();
  const document = app.swagger() as unknown as Document;
  await app.close();
  return document;
}

function schemaOf(name: string, route: RouteDefinition): Record<string, unknown> {
  const [resource = name] = name.split(".");
  return {
    operationId: name,
    summary: route.summary,
    tags: [resource],
    description: `Needs: ${route.role}.`,
    ...(route.role === "signed" ? { security: [] } : {}),
    ...(route.params === undefined ? {} : { params: route.params }),
    ...(route.query === undefined ? {} : { querystring: route.query }),
    ...(route.body === undefined || route.body === "bytes" ? {} : { body: route.body }),
    ...(route.body === "bytes" ? { consumes: ["application/octet-stream"] } : {}),
    response: { 200: successOf(route), default: errorBodySchema },
  };
}

function successOf(route: RouteDefinition): unknown {
  if (route.kind === "json") return route.response;
  if (route.kind === "bytes") {
    return { content: { [route.contentType ?? "application/octet-stream"]: { schema: bytesSchema } } };
  }
  // One event of the stream; OpenAPI 3.1 has no word for the stream itself.
  const data = route.response === undefined ? {} : z.toJSONSchema(route.response, { unrepresentable: "any" });
  const event = z.object({
    data: z.string().meta({ contentMediaType: "application/json", contentSchema: data }),
    event: z.enum(["message", "end", "error"]).optional(),
    id: z.string().optional(),
  });
  return { content: { "text/event-stream": { schema: event } } };
}

const bytesSchema = z.string().meta({ format: "binary" });
