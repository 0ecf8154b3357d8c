import { hash, timingSafeEqual } from 'node:crypto';
import { Injectable } from '@nestjs/common';
import { environment } from '#config';

/** Of the 256 bits that are derived, characters of six. */
const KEY_LENGTH = 22;

/**
 * What lets a guest see and pay a purchase: derived from its id, so that it can be told again and stands nowhere. The secret stands in
 * front of what is hashed, which SHA-512/256 allows: nobody can continue a hash of which half is not told. An HMAC costs four times as much.
 */
@Injectable()
export class AccessKeys {
  private readonly secret = environment().secret('PURCHASE_KEY') ?? '';

  /** 132 bits, base64url. @param purchase  its id */
  of(purchase: string): string {
    return hash('sha512-256', `${this.secret}/${purchase}`, 'base64url').slice(0, KEY_LENGTH);
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
