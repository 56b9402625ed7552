// A page in Chromium, and what it has seen.
//
//   node browser.js '{"page": …, "port": …, "query": {…}, "archive": …, "files": […], "picture": …}'
//
// The page is at http://127.0.0.1:PORT. What is asked of /archive/ there goes to the archive's services, which know
// nothing of pages of other origins; /files/0 is the first of the files. It prints what the page's promise "seen" comes
// to as one line of JSON, and writes a picture of the page.

'use strict'
const fs = require('node:fs')
const http = require('node:http')
const path = require('node:path')
const { chromium } = require('playwright-core')

const asked = JSON.parse(process.argv[2])
const inPackage = name => path.join(__dirname, 'node_modules', name)
const files = {
  '/viewer.html': path.join(__dirname, 'viewer.html'),
  '/client.html': path.join(__dirname, 'client.html'),
  '/digest.js': path.join(__dirname, 'digest.js'),
  '/konva.js': inPackage('konva/konva.min.js'),
  '/jszip.js': inPackage('jszip/dist/jszip.min.js'),
  '/magic-wand.js': inPackage('magic-wand-tool/dist/magic-wand.min.js'),
  '/dicomweb-client.js': inPackage('dicomweb-client/build/dicomweb-client.js')
}

// fileOf is what a path of the page's is, or undefined.
function fileOf (name) {
  const [, folder, rest] = name.split(/^\/(\w+)\/([\w./-]+)$/)
  if (folder === 'files') return asked.files[Number(rest)]
  if (folder === 'dwv' && !rest.includes('..')) return inPackage('dwv/dist/' + rest)
  return files[name]
}

// forward asks the archive, as a program that is no browser.
function forward (rq, rsp) {
  const headers = {}
  for (const name of ['accept', 'content-type', 'content-length']) {
    if (rq.headers[name]) headers[name] = rq.headers[name]
  }
  const on = http.request(asked.archive + rq.url.slice('/archive'.length), { method: rq.method, headers }, answer => {
    rsp.writeHead(answer.statusCode, answer.headers)
    answer.pipe(rsp)
  })
  on.on('error', () => rsp.destroy())
  rq.pipe(on)
}

const server = http.createServer((rq, rsp) => {
  const name = new URL(rq.url, 'http://x').pathname
  if (name.startsWith('/archive/')) return forward(rq, rsp)
  const file = fileOf(name)
  if (!file || !fs.existsSync(file)) return rsp.writeHead(404).end()
  rsp.writeHead(200, { 'Content-Type': { '.html': 'text/html', '.js': 'text/javascript' }[path.extname(file)] || 'application/dicom' })
  fs.createReadStream(file).pipe(rsp)
})

async function main () {
  await new Promise(resolve => server.listen(asked.port, '127.0.0.1', resolve))
  const browser = await chromium.launch({ executablePath: asked.chromium, args: ['--no-sandbox', '--disable-gpu'] })
  try {
    const page = await browser.newPage({ viewport: { width: 1060, height: 640 } })
    const said = []
    page.on('console', m => said.push(m.text()))
    page.on('pageerror', e => said.push(String(e)))
    const address = new URL(`http://127.0.0.1:${asked.port}/${asked.page}`)
    for (const [name, value] of Object.entries(asked.query)) address.searchParams.set(name, value)
    await page.goto(address.href)
    await page.waitForFunction(() => window.seen, null, { timeout: 60000 }).catch(e => { throw new Error(e + '\n' + said.join('\n')) })
    const seen = await page.evaluate(() => window.seen)
    if (asked.picture) await page.screenshot({ path: asked.picture })
    console.log(JSON.stringify(seen))
  } finally {
    await browser.close()
    server.close()
  }
}
main().then(() => process.exit(0), e => { console.error(e); process.exit(1) })
