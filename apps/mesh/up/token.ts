import { SignJWT, exportJWK, generateKeyPair, type CryptoKey, type JWK } from 'jose';

/** How long a development token is good for: a working day. */
const LIFETIME = '12h';

/** Signs the development tokens of one run of the mesh; the private key never leaves this object, so they end with it. */
export class TokenMint {
  private constructor(
    private readonly privateKey: CryptoKey,
    readonly publicJwk: JWK,
  ) {}

  static async open(): Promise<TokenMint> {
    const { privateKey, publicKey } = await generateKeyPair('ES256');
    return new TokenMint(privateKey, await exportJWK(publicKey));
  }

  /** A new access token for everything, valid 12 hours. @source RFC 9068 §2 */
  token(): Promise<string> {
    return new SignJWT({ roles: ['chain-admin', 'operator'], client_id: 'mesh-cli' })
      .setProtectedHeader({ alg: 'ES256', typ: 'at+jwt' })
      .setIssuer('urn:cinemanzana:dev')
      .setAudience('cinemanzana')
      .setSubject('dev')
      .setIssuedAt()
      .setExpirationTime(LIFETIME)
      .sign(this.privateKey);
  }
}
