import type { ConnectionOptions } from '@platformatic/kafka';
import type { KafkaConfig } from '../kafka-section.js';

/**
 * What a cluster that is not open to everyone wants: TLS with KAFKA_TLS=yes, or with the certificate of who vouches for it,
 * KAFKA_CA; a user with KAFKA_USERNAME and KAFKA_PASSWORD, which are read anew for each connection.
 *
 * @throws Error for half of it
 */
export function securityOf(
  secret: (name: string) => string | undefined,
  { saslMechanism: mechanism }: Pick<KafkaConfig, 'saslMechanism'>,
): Pick<ConnectionOptions, 'tls' | 'sasl' | 'tlsServerName'> {
  const wish = secret('KAFKA_TLS')?.toLowerCase();
  const ca = secret('KAFKA_CA');
  const hasTls = ca !== undefined || !['', '0', 'no', 'false', undefined].includes(wish);
  const [user, password] = [secret('KAFKA_USERNAME'), secret('KAFKA_PASSWORD')];
  if ((user === undefined) !== (password === undefined))
    throw new Error('KAFKA_USERNAME and KAFKA_PASSWORD (or KAFKA_PASSWORD_FILE) go together; one of them is missing');
  return {
    ...(hasTls ? { tls: ca === undefined ? {} : { ca }, tlsServerName: true } : {}),
    ...(user === undefined
      ? {}
      : { sasl: { mechanism, username: () => secret('KAFKA_USERNAME') ?? '', password: () => secret('KAFKA_PASSWORD') ?? '' } }),
  };
}
