import { Outbox1700000000000, OutboxRow, OutboxSend1795400000000 } from './table.js';

export { emit, type Emitted, markEmitted } from './emit.js';
export { OutboxConfig } from './outbox-section.js';
export { Relay, type Publish, type RelayOptions } from './relay.js';

/** What a process that emits has in its own schema besides its own tables. */
export const outboxTables = { entities: [OutboxRow], migrations: [Outbox1700000000000, OutboxSend1795400000000] };
