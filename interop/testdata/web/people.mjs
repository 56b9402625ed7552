// An OpenID Connect provider of people, on oidc-provider.
//
//   node people.mjs PORT RETURN_ADDRESS
//
// Whoever types a name is that person, with any password. Groups are after a plus sign: "clark+imaging+staff". The client
// is "cordon" with the secret "secret of the client"; it must use PKCE.

import { generateKeyPairSync } from 'node:crypto'
import Provider from 'oidc-provider'

const [port, back] = process.argv.slice(2)
const key = { ...generateKeyPairSync('ec', { namedCurve: 'P-256' }).privateKey.export({ format: 'jwk' }), kid: 'k', use: 'sig', alg: 'ES256' }
const provider = new Provider(`http://127.0.0.1:${port}`, {
  clients: [{
    client_id: 'cordon', client_secret: 'secret of the client', redirect_uris: [back], response_types: ['code'], grant_types: ['authorization_code'],
    id_token_signed_response_alg: 'ES256'
  }],
  jwks: { keys: [key] },
  pkce: { required: () => true },
  scopes: ['openid', 'profile', 'email', 'groups'],
  claims: { openid: ['sub'], profile: ['name'], groups: ['groups'] },
  conformIdTokenClaims: process.argv[4] !== 'in-token',
  cookies: { keys: ['for this test'] },
  findAccount: (ctx, id) => {
    const [name, ...groups] = id.split('+')
    return { accountId: id, claims: () => ({ sub: id, name, groups }) }
  }
})
provider.listen(Number(port), '127.0.0.1', () => console.log('ready'))
