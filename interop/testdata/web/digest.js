// digest is the SHA-256 of a text or of bytes, in hexadecimal.
async function digest (content) {
  const bytes = typeof content === 'string' ? new TextEncoder().encode(content) : content
  const sum = await crypto.subtle.digest('SHA-256', bytes)
  return Array.from(new Uint8Array(sum), b => b.toString(16).padStart(2, '0')).join('')
}
