export { BusConfig } from './bus-section.js';
export { BusClient } from './client.js';
export { BusContext, topicOf, type BusEvent } from './event.js';
export { publish } from './log.js';
export { BusServer, type BusServerOptions } from './server.js';
