import { createHmac, createSecretKey, hash, timingSafeEqual } from 'node:crypto';
import { Injectable } from '@nestjs/common';
import { environment } from '#config';

/** Of the 256 bits that are derived. */
const KEY_BYTES = 16;

/** What lets a guest see and pay a purchase: derived from its id, so that it can be told again and stands nowhere. */
@Injectable()
export class AccessKeys {
  private readonly secret = createSecretKey(environment().secret('PURCHASE_KEY') ?? '', 'utf8');

  /** 128 bits, base64url. @param purchase  its id */
  of(purchase: string): string {
    return createHmac('sha256', this.secret).update(purchase).digest().subarray(0, KEY_BYTES).toString('base64url');
  }

  /** What is stored of a key: its SHA-256, base64url. */
  hash(key: string): string {
    return hash('sha256', key, 'base64url');
  }

  /** Whether `key` is the one of that hash; how long it takes does not tell how much of it is right. */
  fits(key: string, hash: string): boolean {
    const [given, wanted] = [Buffer.from(this.hash(key)), Buffer.from(hash)];
    return given.length === wanted.length && timingSafeEqual(given, wanted);
  }
}
