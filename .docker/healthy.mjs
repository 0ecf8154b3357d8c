// Healthy is what the registry calls healthy: the process says that it is ready.
const answer = await fetch(`http://127.0.0.1:${process.argv[2]}/health/ready`, { signal: AbortSignal.timeout(2_000) });
// The gateway's door knows no such address once it is open; before, it says 503 as all do.
process.exit(answer.status < 500 ? 0 : 1);
