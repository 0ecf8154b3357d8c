import { readFileSync } from 'node:fs';
import { factsOf, filmOf, publicFilms } from './films.js';
import { recordsOf } from './records.js';

const plain = { isGarbled: false, lastYear: 2026 };

describe('a file of films', () => {
  it('is a JSON list, each element with its line, a broken one costing no other', () => {
    const text = '[\n {"title":"A"},\n {"title":"B, [x]", "genres":["\\"","]"]},\n {"title":"C},\n 7,\n\n {"title":\n"D"}]';
    expect(recordsOf(text)).toEqual([
      { line: 2, values: { title: 'A' } },
      { line: 3, values: { title: 'B, [x]', genres: ['"', ']'] } },
      { line: 4, fault: expect.stringContaining('no JSON') },
      { line: 5, fault: 'is not a JSON object' },
      { line: 7, values: { title: 'D' } },
    ]);
  });

  it('that ends too early says so', () => {
    expect(recordsOf('[{"title":"A"},{"title"').at(-1)).toMatchObject({ fault: expect.stringContaining('does not end') });
  });

  it('is a JSON object on each line', () => {
    expect(recordsOf('{"title":"A"}\n\n{"title"}\n{"title":"B"}\n')).toEqual([
      { line: 1, values: { title: 'A' } },
      { line: 3, fault: expect.stringContaining('no JSON') },
      { line: 4, values: { title: 'B' } },
    ]);
  });

  it('is CSV with names in its first line', () => {
    expect(recordsOf('\uFEFFtitle,minutes\n"A, b",90\nC\nD,"12"\n')).toEqual([
      { line: 2, values: { title: 'A, b', minutes: '90' } },
      { line: 3, fault: expect.stringContaining('Invalid Record Length') },
      { line: 4, values: { title: 'D', minutes: '12' } },
    ]);
  });

  it('may be empty', () => {
    expect([recordsOf(''), recordsOf('[]'), recordsOf('title\n')]).toEqual([[], [], []]);
  });
});

describe('a record', () => {
  it('of the public set becomes a film', () => {
    const { movie, called } = filmOf(
      {
        ...{
          Title: 1776,
          'Release Date': 'Nov 09 1972',
          'MPAA Rating': 'G',
          'Running Time min': 141,
          'Major Genre': 'Thriller/Suspense',
        },
        ...{ 'Creative Type': 'Science Fiction', Director: null, 'IMDB Rating': 7 },
      },
      plain,
    );
    const genres = ['Thriller', 'Suspense', 'Science Fiction'];
    expect(movie).toEqual({ title: '1776', releaseOn: '1972-11-09', rating: 'G', minutes: 141, genres });
    expect(called.minutes).toBe('Running Time min');
  });

  it('released in the future was released a century before', () => {
    const film = (year: number, lastYear: number) =>
      filmOf({ Title: 'x', 'Release Date': `Dec 15 ${year}` }, { ...plain, lastYear }).movie.releaseOn;
    expect([film(2039, 2026), film(2026, 2026), film(2025, 2011)]).toEqual(['1939-12-15', '2026-12-15', '1925-12-15']);
  });

  it('with our own names is taken as it is, CSV having only text', () => {
    expect(filmOf({ title: 300, minutes: '117', genres: 'Action; Drama', director: '', sold: 1 }, plain)).toEqual({
      movie: { title: '300', minutes: 117, genres: ['Action', 'Drama'], sold: 1 },
      called: {},
    });
  });
});

it('the public set of films has its accents back, and its old films their century', () => {
  const text = readFileSync(publicFilms(), 'utf8');
  const facts = factsOf(text, 2026);
  const films = recordsOf(text).map(({ values }) => filmOf(values!, facts).movie);
  expect(films.filter(({ title, releaseOn }) => title && releaseOn)).toHaveLength(3201);
  const titles = films.map(({ title }) => title);
  for (const title of [
    "Le Fabuleux destin d'Amélie Poulain",
    'Per qualche dollaro in più',
    'Obsluhoval jsem anglického krále',
    'Alien³',
  ])
    expect(titles).toContain(title);
  expect(films.find(({ title }) => title === 'Ben-Hur')).toMatchObject({ releaseOn: '1925-12-30' });
  expect(
    films
      .map(({ releaseOn }) => String(releaseOn))
      .sort()
      .at(-1),
  ).toBe('2011-12-23');
  expect(factsOf('Amélie', 2026).isGarbled).toBe(false);
});
