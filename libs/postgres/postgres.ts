export { EmbeddedPostgres, removePostgres, startPostgres, type PostgresOptions } from './launcher.js';
export { openClient } from './client.js';
export { prepareDatabase, processUrl, roleOf, type PrepareOptions } from './prepare.js';
