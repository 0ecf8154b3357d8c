import { globSync, readFileSync } from 'node:fs';
import { NotFoundException } from '@nestjs/common';
import { fromProblemBody, invalidInput, Problem, problemBody, problemTitles, toProblem } from '#problem';

describe('a problem', () => {
  const taken = new Problem('conflict', 409, 'F7 is taken', { taken: ['F7'] });

  it('leaves as RFC 9457 says, with the trace as its instance', () => {
    expect(problemBody(taken, 'a'.repeat(32))).toEqual({
      type: '/problems/conflict',
      title: 'In conflict with the current state',
      status: 409,
      detail: 'F7 is taken',
      instance: `urn:trace:${'a'.repeat(32)}`,
      taken: ['F7'],
    });
  });

  it('is the same problem after a hop', () => {
    const again = fromProblemBody(409, problemBody(taken, 'b'.repeat(32)));
    expect(again).toMatchObject({ type: 'conflict', status: 409, detail: 'F7 is taken', extra: { taken: ['F7'] } });
  });

  it('cannot have its standard members replaced by its extra ones', () => {
    expect(problemBody(new Problem('conflict', 409, 'x', { status: 200, type: 'y' }))).toMatchObject({
      status: 409,
      type: '/problems/conflict',
    });
  });

  it('says nothing of a bug', () => {
    const { type, status, detail } = toProblem(new Error('password=hunter2 at /srv/secret.ts'));
    expect([type, status]).toEqual(['internal', 500]);
    expect(detail).not.toMatch(/hunter2|secret/);
    expect(toProblem(undefined).status).toBe(500);
    expect(toProblem({ status: 500, message: 'hunter2' }).detail).not.toContain('hunter2');
  });

  it('is made of what frameworks throw', () => {
    expect(toProblem(new NotFoundException('Cannot GET /x'))).toMatchObject({ type: 'not-found', status: 404 });
    expect(toProblem({ statusCode: 413, message: 'too large' })).toMatchObject({ type: 'body-too-large', status: 413 });
    expect(toProblem({ statusCode: 418, message: 'teapot' })).toMatchObject({ type: 'bad-request', status: 418 });
  });

  it('of wrong input points at each place', () => {
    const errors = [
      { pointer: '/title', detail: 'must be a string' },
      { pointer: '/minutes', detail: 'must be at least 1' },
    ];
    expect(invalidInput(errors)).toMatchObject({
      status: 400,
      detail: '/title: must be a string (and 1 more)',
      extra: { errors },
    });
  });
});

describe('config/problems.yml', () => {
  const sources = globSync(['apps/**/*.ts', 'libs/**/*.ts']).filter((file) => !file.endsWith('.spec.ts'));
  const thrown = sources.flatMap((file) =>
    [...readFileSync(file, 'utf8').matchAll(/new Problem\(\s*'([\w-]+)'/g)].map(([, slug]) => [slug!, file] as const),
  );

  it('has a title for every type that the code can answer with', () => {
    expect(thrown.length).toBeGreaterThan(3);
    expect(thrown.filter(([slug]) => !(slug in problemTitles))).toEqual([]);
  });

  it('has titles only, one line each', () => {
    for (const [slug, title] of Object.entries(problemTitles)) {
      expect(slug).toMatch(/^[a-z]+(-[a-z0-9]+)*$/);
      expect(title).toMatch(/^[A-Z][^\n]{3,80}$/);
    }
  });
});
