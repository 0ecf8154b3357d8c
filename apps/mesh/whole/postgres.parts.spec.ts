import { startTestMesh, type TestMesh } from '#testing';
import { MovieCommand } from '../../movie/movie.command.js';
import { MovieQuery } from '../../movie/movie.query.js';

const { DATABASE_URL } = process.env;

// Skipped without a real server's address, and so reported by jest.
const onServer = DATABASE_URL ? describe : describe.skip;
onServer('on a PostgreSQL given from outside (DATABASE_URL)', () => {
  let mesh: TestMesh;
  beforeAll(
    async () => (mesh = await startTestMesh({ processes: [MovieCommand, MovieQuery], databaseUrl: DATABASE_URL })),
    60_000,
  );
  afterAll(() => mesh?.stop(), 30_000);

  it('a film written on one side is found on the other, with an accent and a slip of the finger', async () => {
    const staff = await mesh.bearer('manager');
    const body = { title: 'Le Fabuleux Destin d’Amélie Poulain', releaseOn: '2001-04-25' };
    const made = await mesh.http('movie-command').post('/api/movies').set('authorization', staff).send(body).expect(201);
    const { id } = made.body as { id: string };
    await mesh.http('movie-query').get(`/api/movies/${id}`).set('min-version', '1').expect(200);
    const found = await mesh.http('movie-query').get('/api/movies?q=amelei').expect(200);
    expect((found.body as { items: { id: string }[] }).items.map((movie) => movie.id)).toEqual([id]);
  });
});
