import { Problem } from '#problem';
import type { Cluster, Found } from '../client/cluster.js';
import { headersOf } from '../record.js';

/** The header of a copied event: its partition and number in the log it was copied from. */
export const COPIED = 'mesh-copied';
/** Read at a time, bytes. */
const PIECE_BYTES = 1_048_576;

/** Where a copied event was, and is. */
export interface CopiedEvent {
  id: string;
  offset: bigint;
  from: { partition: number; seq: bigint };
}

function asCopied({ offset, record }: Found): CopiedEvent | undefined {
  const { [COPIED]: from, ce_id: id } = headersOf(record);
  const [partition, seq] = from?.split('/') ?? [];
  return partition && seq && id ? { id, offset, from: { partition: Number(partition), seq: BigInt(seq) } } : undefined;
}

/** A partition of Kafka with copied events and no others: their former numbers rise as their offsets do. */
export class CopiedPartition {
  constructor(
    private readonly cluster: Cluster,
    readonly topic: string,
    readonly partition: number,
    readonly end: bigint,
  ) {}

  /** The former number of its last event; 0 when there is none. @throws Problem `conflict` (409) when that was not copied */
  async last(): Promise<bigint> {
    return this.end === 0n ? 0n : (await this.at(this.end - 1n)).from.seq;
  }

  /** The first event whose former number is `seq` or more; undefined when there is none. */
  async seek(seq: bigint): Promise<CopiedEvent | undefined> {
    let [low, high] = [0n, this.end];
    let best: CopiedEvent | undefined;
    while (low < high) {
      const middle = (low + high) / 2n;
      const found = await this.at(middle);
      if (found.from.seq >= seq) {
        best = found;
        high = middle;
      } else low = found.offset + 1n;
    }
    return best;
  }

  /** All from `offset` on, in order. */
  async *from(offset: bigint): AsyncGenerator<CopiedEvent> {
    for (let next = offset; next < this.end;) {
      const piece = await this.cluster.read(this.topic, this.partition, next, PIECE_BYTES);
      for (const one of piece.found) yield this.own(one);
      if (piece.next === next) return;
      next = piece.next;
    }
  }

  /** The first event at `offset` or behind it: compaction leaves gaps, but never at the end. */
  private async at(offset: bigint): Promise<CopiedEvent> {
    const { found } = await this.cluster.read(this.topic, this.partition, offset, 1);
    return this.own(found[0]);
  }

  private own(one: Found | undefined): CopiedEvent {
    const copied = one && asCopied(one);
    if (copied) return copied;
    const where = `partition ${this.partition} of ${this.cluster.topic(this.topic)}`;
    throw new Problem('conflict', 409, `${where} has events that were not copied from here; give the mesh a kafka.topicPrefix of its own, or remove the topics that begin with it`); // prettier-ignore
  }
}
