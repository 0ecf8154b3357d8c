import { invalidQuery, type Ranking } from '#resource';

/** Of a sphere as large as the earth, m. @source IUGG mean radius */
const RADIUS = 6_371_008.8;
/** Half way round. */
const FARTHEST_KM = 20_016;

const NEAR = /^(-?\d{1,2}(?:\.\d{1,15})?),(-?\d{1,3}(?:\.\d{1,15})?)$/;

function readPlace(text: string | undefined): [latitude: number, longitude: number] {
  if (text === undefined) throw invalidQuery('near', 'is required with withinKm');
  const [, latitude, longitude] = (NEAR.exec(text) ?? []).map(Number);
  if (latitude === undefined || longitude === undefined || Math.abs(latitude) > 90 || Math.abs(longitude) > 180)
    throw invalidQuery('near', 'must be latitude and longitude in degrees, such as -12.04,-77.03');
  return [latitude, longitude];
}

function readDistance(text: string | undefined): number | undefined {
  if (text === undefined) return undefined;
  const km = /^\d{1,5}(\.\d{1,6})?$/.test(text) ? Number(text) : 0;
  if (km <= 0 || km > FARTHEST_KM) throw invalidQuery('withinKm', `must be kilometres, more than 0 and at most ${FARTHEST_KM}`);
  return km;
}

/**
 * The nearest first, by the great circle: `near=<latitude>,<longitude>`, and `withinKm` at most.
 *
 * @source the haversine formula, R. W. Sinnott, Sky and Telescope 68 (1984)
 */
export const nearby: Ranking = {
  parameters: ['near', 'withinKm'],
  shows: 'distanceMetres',
  read({ near, withinKm }, add) {
    const [latitude, longitude] = readPlace(near).map((degrees) => `${add(degrees)}::float8`);
    const km = readDistance(withinKm);
    const half = (own: string, other: string) => `power(sin(radians(${own} - ${other}) / 2), 2)`;
    const haversine = `${half('v.latitude', latitude!)} + cos(radians(${latitude})) * cos(radians(v.latitude)) * ${half('v.longitude', longitude!)}`;
    return { sql: `2 * ${RADIUS} * asin(least(1, sqrt(${haversine})))`, most: km === undefined ? undefined : km * 1000 };
  },
};
