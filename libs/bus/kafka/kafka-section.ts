import { IsIn, IsInt, Matches, Max, Min } from 'class-validator';
import { Section } from '#config';

/** How a process uses Kafka, where it is given one. */
@Section('kafka')
export class KafkaConfig {
  /** What comes before a topic's name. */
  @Matches(/^[\w.-]{0,100}$/)
  topicPrefix: string;

  /** Of a topic that is made. */
  @IsInt()
  @Min(1)
  @Max(1000)
  partitions: number;

  /** Copies of a topic that is made; -1 for as many as the cluster makes of itself. */
  @IsInt()
  @Min(-1)
  @Max(15)
  replicas: number;

  /** At the latest so many days after an event its key's older ones are gone. */
  @IsInt()
  @Min(2)
  @Max(3660)
  forgetDays: number;

  /** An event may have so many bytes. */
  @IsInt()
  @Min(1024)
  maxEventBytes: number;

  /** Sent in one request, bytes; always at least one event. */
  @IsInt()
  @Min(1024)
  sendBytes: number;

  /** Read in one request, bytes; always at least one event. */
  @IsInt()
  @Min(1024)
  fetchBytes: number;

  /** Of what was read and not handed out yet, kept for the next batch, bytes. */
  @IsInt()
  @Min(0)
  readAheadBytes: number;

  /** For a connection, ms. */
  @IsInt()
  @Min(10)
  connectMs: number;

  /** For an answer, ms. */
  @IsInt()
  @Min(10)
  requestMs: number;

  /** Between two tries of a request, ms. */
  @IsInt()
  @Min(1)
  retryMs: number;

  /** After a failure nothing is asked for so long, ms. */
  @IsInt()
  @Min(0)
  awayMs: number;

  /** A process that starts waits so long at most to hear whether this is the Kafka its places are of, ms. */
  @IsInt()
  @Min(0)
  startMs: number;

  /** How the password is shown to a cluster that wants one. */
  @IsIn(['PLAIN', 'SCRAM-SHA-256', 'SCRAM-SHA-512'])
  saslMechanism: 'PLAIN' | 'SCRAM-SHA-256' | 'SCRAM-SHA-512';
}
