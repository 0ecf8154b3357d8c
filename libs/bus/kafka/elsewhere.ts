import { Problem } from '#problem';

/** What the log in PostgreSQL is called. */
export const POSTGRESQL = 'postgresql';

const said = (name: string) => {
  const [kind, cluster, prefix] = name.split('/');
  return kind === 'kafka' ? `Kafka (cluster ${cluster}, topics ${prefix}*)` : 'PostgreSQL';
};

/** The problem of a process that is given another log than the one that has the mesh's events. */
export function elsewhere(used: string, wanted: string): Problem {
  const cure =
    wanted === POSTGRESQL
      ? 'give it KAFKA_BROKERS as before, or carry the events back by npx mesh events copy --back'
      : used === POSTGRESQL
        ? 'carry them over by npx mesh events copy, or start without KAFKA_BROKERS'
        : 'give it the KAFKA_BROKERS of before, or carry them: npx mesh events copy --back from there, then npx mesh events copy';
  const why = `the events of this mesh are in ${said(used)}, and what its processes have read is counted there; this one is given ${said(wanted)}`;
  return new Problem('events-elsewhere', 503, `${why}: ${cure}`);
}

/** The problem of a topic that ends before what was read of it: it was removed and made anew, or restored from an older copy. */
export function tooShort(name: string, topic: string, partition: number): Problem {
  const why = `partition ${partition} of ${topic} in ${said(name)} ends before what was read of it: the topic was removed or restored`;
  return new Problem('events-elsewhere', 503, `${why}; give the mesh the cluster that has its events, or fill this one by npx mesh events copy`); // prettier-ignore
}
