import { processContract, registryContract } from '../../discovery/discovery.contract.js';

const given = process.env.CONSUL_HTTP_ADDR;
const url = given?.startsWith('http') ? given : `http://${given}`;

// The same suite as the development agent's: whoever passes it is the registry to this mesh.
(given ? describe : describe.skip)(`the Consul at ${given ?? 'CONSUL_HTTP_ADDR, which is not set'}`, () => {
  registryContract(() => url);
  processContract(() => url);
});
