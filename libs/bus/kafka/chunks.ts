import type { Found, Piece } from './client/cluster.js';

/** What was read of some partitions and not handed out yet: the latest, and no more than so many bytes. */
export class Chunks {
  private readonly kept = new Map<string, { piece: Piece; from: bigint; bytes: number }>();
  private bytes = 0;

  constructor(private readonly maxBytes: number) {}

  /** What is kept from `offset` on; undefined when nothing is. */
  from(id: string, offset: bigint): Piece | undefined {
    const chunk = this.kept.get(id);
    if (!chunk || offset < chunk.from || offset >= chunk.piece.next) return undefined;
    const found = chunk.piece.found.filter((one) => one.offset >= offset);
    return found.length > 0 ? { ...chunk.piece, found } : undefined;
  }

  keep(id: string, from: bigint, piece: Piece): void {
    this.drop(id);
    const bytes = piece.found.reduce((sum, one: Found) => sum + one.bytes, 0);
    this.kept.set(id, { piece, from, bytes });
    this.bytes += bytes;
    for (const [oldest] of this.kept) {
      if (this.bytes <= this.maxBytes) return;
      this.drop(oldest);
    }
  }

  drop(id: string): void {
    this.bytes -= this.kept.get(id)?.bytes ?? 0;
    this.kept.delete(id);
  }
}
