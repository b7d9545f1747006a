import { readFileSync } from 'node:fs';
import type { LinkTlsOptions } from '../../src/core/net/mod.js';

/** A self-signed certificate and its key, for tests only. */
export interface TestCertificate {
  readonly cert: string;
  readonly key: string;
}

/**
 * Certificates for `localhost`, `example.com` and `*.example.org`, good until 2126. Each was made by
 *
 * ```sh
 * openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 36500 -subj "/CN=$name" \
 *   -addext "subjectAltName=DNS:$name" -keyout $name.key.pem -out $name.cert.pem
 * ```
 */
export function testCertificate(name: 'localhost' | 'example.com' | 'wildcard.example.org'): TestCertificate {
  return { cert: pem(`${name}.cert`), key: pem(`${name}.key`) };
}

/**
 * What members of a test cluster have for `linkTls`. `cluster-ca`, made as above with `basicConstraints=critical,CA:TRUE`, has signed
 * `member` (`openssl x509 -req -CA cluster-ca.cert.pem …`); its key is not kept.
 */
export function memberTls(): LinkTlsOptions {
  return { ca: pem('cluster-ca.cert'), cert: pem('member.cert'), key: pem('member.key') };
}

/** Knows the cluster's CA and has a certificate of nobody's. */
export function strangerTls(): LinkTlsOptions {
  return { ...testCertificate('localhost'), ca: pem('cluster-ca.cert') };
}

function pem(name: string): string {
  return readFileSync(new URL(`certificates/${name}.pem`, import.meta.url), 'utf8');
}
