import { wholeMesh } from './contract.js';

const { CONSUL_HTTP_ADDR } = process.env;

// Skipped without a real server's address, and so reported by jest.
const onConsul = CONSUL_HTTP_ADDR ? describe : describe.skip;
onConsul('the mesh on a real Consul (CONSUL_HTTP_ADDR)', () => wholeMesh([], { CONSUL_HTTP_ADDR: CONSUL_HTTP_ADDR ?? '' }));
