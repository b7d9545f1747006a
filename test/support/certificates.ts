import { readFileSync } from 'node:fs';

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
  const read = (part: string) => readFileSync(new URL(`certificates/${name}.${part}.pem`, import.meta.url), 'utf8');
  return { cert: read('cert'), key: read('key') };
}
