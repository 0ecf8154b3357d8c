/** One running process of a service, as the registry tells it. */
export interface Instance {
  id: string;
  service: string;
  address: string;
  port: number;
  tags: string[];
  meta: Record<string, string>;
  /** All its checks are well. */
  passing: boolean;
}

/** A row of `health/service/:name`, as far as it is read. */
export interface HealthRow {
  Node: { Address: string };
  Service: {
    ID: string;
    Service: string;
    Address: string;
    Port: number;
    Tags: string[] | null;
    Meta: Record<string, string> | null;
  };
  Checks: { CheckID: string; Status: string }[];
}

/** Somebody took it out on purpose. */
export const isInMaintenance = ({ Checks }: HealthRow): boolean =>
  Checks.some(({ CheckID }) => CheckID.startsWith('_service_maintenance:') || CheckID === '_node_maintenance');

export function instanceOf({ Node, Service, Checks }: HealthRow): Instance {
  return {
    id: Service.ID,
    service: Service.Service,
    address: Service.Address || Node.Address,
    port: Service.Port,
    tags: Service.Tags ?? [],
    meta: Service.Meta ?? {},
    passing: Checks.every(({ Status }) => Status === 'passing'),
  };
}

/**
 * The instances to use: those that pass, or all when more than `panicPercent` do not. A registry that calls most of a service ill is
 * more likely wrong or cut off than right, and trying costs less than giving up. What is in maintenance is left alone in any case.
 *
 * @source Envoy, "panic threshold"
 */
export function usable(rows: readonly HealthRow[], panicPercent: number): Instance[] {
  const all = rows.filter((row) => !isInMaintenance(row)).map(instanceOf);
  const passing = all.filter((instance) => instance.passing);
  const ill = all.length - passing.length;
  return ill * 100 > all.length * panicPercent ? all : passing;
}
