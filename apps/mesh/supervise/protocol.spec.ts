import { hostArguments, hostOptions } from './protocol.js';

describe("a host's command line", () => {
  it('says what it was made from', () => {
    const options = { seats: [{ name: 'gateway', port: 8080 }, { name: 'movie-query' }], slot: 2, screen: 'pretty' as const };
    expect(hostArguments(options)).toEqual(['gateway:8080', 'movie-query', '--slot=2', '--screen=pretty']);
    expect(hostOptions(hostArguments(options))).toEqual(options);
  });

  it('is only names in the usual case', () => {
    const options = { seats: [{ name: 'movie-query' }], slot: 0, screen: 'none' as const };
    expect(hostArguments(options)).toEqual(['movie-query']);
    expect(hostOptions(['movie-query'])).toEqual(options);
  });
});
