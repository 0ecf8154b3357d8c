import { startWholeMesh } from '#testing';

// Each run launches the processes in an order and at moments of its own; readiness is proven by an answer to a read.
const boot = async (fold: string[]) => {
  const mesh = await startWholeMesh({ fold: ['--shuffle', '--no-demo', ...fold] });
  const { status } = await mesh.http('GET', '/api/movies?limit=1');
  await mesh.stop();
  expect(status).toBe(200);
};

describe('the order of the boot', () => {
  it.each(Array.from({ length: 20 }, (_, n) => n + 1))('does not matter in one process (%i of 20)', () => boot([]), 90_000);

  it.each([1, 2])('does not matter with a process for each (%i of 2)', () => boot(['--unfold']), 90_000);
});
