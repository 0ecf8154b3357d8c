import { wholeMesh } from './contract.js';

describe('the mesh with a process for each', () => wholeMesh(['--unfold']));
