// Healthy is what the registry calls healthy: the process says that it is ready.
const answer = await fetch(`http://127.0.0.1:${process.argv[2]}/health/ready`, { signal: AbortSignal.timeout(2_000) });
process.exit(answer.ok ? 0 : 1);
