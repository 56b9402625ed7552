// An OpenID Connect issuer on oidc-provider.
//
//   node issuer.mjs PORT KEY_ID...
//
// It signs with the first of its keys and announces all of them; keys are made at the start. Clients "ai" and
// "stranger" get access tokens for themselves (RFC 6749 §4.4) with their name as secret; the resource that they name
// becomes the audience.

import { generateKeyPairSync } from 'node:crypto'
import Provider from 'oidc-provider'

const [port, ...ids] = process.argv.slice(2)
const keys = ids.map((kid, n) => {
  const options = kid.startsWith('ec') ? ['ec', { namedCurve: 'P-256' }] : ['rsa', { modulusLength: 2048 }]
  const alg = kid.startsWith('ec') ? 'ES256' : 'RS256'
  return { ...generateKeyPairSync(...options).privateKey.export({ format: 'jwk' }), kid, use: 'sig', alg }
})
const client = name => ({
  client_id: name, client_secret: name, grant_types: ['client_credentials'], redirect_uris: [], response_types: [],
  token_endpoint_auth_method: 'client_secret_post', id_token_signed_response_alg: keys[0].alg
})
const provider = new Provider(`http://127.0.0.1:${port}`, {
  clients: [client('ai'), client('stranger')],
  jwks: { keys },
  scopes: ['imaging.read', 'imaging.write'],
  features: {
    devInteractions: { enabled: false },
    clientCredentials: { enabled: true },
    resourceIndicators: {
      enabled: true,
      getResourceServerInfo: (ctx, resource) => ({
        scope: 'imaging.read imaging.write', audience: resource.replace('urn:', ''), accessTokenTTL: 300,
        accessTokenFormat: 'jwt', jwt: { sign: { alg: keys[0].alg, kid: keys[0].kid } }
      })
    }
  }
})
provider.listen(Number(port), '127.0.0.1', () => console.log('ready'))
