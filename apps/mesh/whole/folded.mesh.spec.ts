import { wholeMesh } from './contract.js';

describe('the mesh in one process', () => wholeMesh([]));
