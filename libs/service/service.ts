export { isServiceDefinition, service, type ProcessState, type ServiceDefinition, type ServiceOptions } from './definition.js';
export { type Listener } from './http/server.js';
export { type CloseOptions, launch, type LaunchOptions, type Running } from './launch.js';
export { instanceId, platformSections } from './parts.js';
export { type Info } from './platform.js';
export { ACCESS_TAG, OWN_AUTH_TAG, type RouteAccess } from './routes.js';
export { LogConfig, ServiceConfig } from './sections.js';
export { openSpool, serve } from './serve.js';
export { parseJson } from './http/json.js';
