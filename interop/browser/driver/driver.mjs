// Drives Chromium for a test: one command a line of JSON comes in, one answer a line goes out.
//
//   {"op": "page", "page": 1, "width": 1280, "height": 900, "scale": 1, "scripts": true, "secure": false}
//   {"op": "goto", "page": 1, "to": "http://127.0.0.1:8080/"}   … fill, click, press, text, html, count, eval, shot, axe, seen, passkeys, close

import fs from 'node:fs'
import readline from 'node:readline'
import { createRequire } from 'node:module'

const require = createRequire(import.meta.url)
const { chromium } = require('playwright-core')
const axe = fs.readFileSync(require.resolve('axe-core/axe.min.js'), 'utf8')
const timeout = 20000

const browser = await chromium.launch({ executablePath: process.argv[2], args: ['--no-sandbox', '--disable-gpu', '--disable-dev-shm-usage'] })
const pages = new Map()

const commands = {
  async page (c) {
    const context = await browser.newContext({ viewport: { width: c.width, height: c.height }, deviceScaleFactor: c.scale || 1, javaScriptEnabled: c.scripts, ignoreHTTPSErrors: true, acceptDownloads: true })
    context.setDefaultTimeout(timeout)
    const page = await context.newPage()
    const seen = { errors: [], foreign: [], bytes: 0, status: 0 }
    page.on('console', m => { if (m.type() === 'error' || m.type() === 'warning') seen.errors.push(m.text()) })
    page.on('pageerror', e => seen.errors.push(String(e)))
    const session = await context.newCDPSession(page)
    await session.send('Network.enable')
    session.on('Network.loadingFinished', e => { seen.bytes += e.encodedDataLength })
    page.on('request', rq => {
      const host = new URL(rq.url()).host
      if (!rq.url().startsWith('data:') && !rq.url().startsWith('blob:') && seen.host && host !== seen.host) seen.foreign.push(rq.url())
    })
    pages.set(c.page, { context, page, seen, session })
  },
  async goto (c, p) {
    p.seen.host = new URL(c.to).host
    p.seen.errors.length = p.seen.foreign.length = 0
    p.seen.bytes = 0
    const answer = await p.page.goto(c.to, { waitUntil: 'load' })
    return { status: answer ? answer.status() : 0, url: p.page.url() }
  },
  resize: (c, p) => p.page.setViewportSize({ width: c.width, height: c.height }),
  fill: (c, p) => p.page.fill(c.at, c.text),
  select: (c, p) => p.page.selectOption(c.at, c.text),
  async click (c, p) {
    await p.page.click(c.at)
    await p.page.waitForLoadState('load')
    return { url: p.page.url() }
  },
  press: (c, p) => p.page.keyboard.press(c.text),
  wait: async (c, p) => { await p.page.waitForSelector(c.at) },
  text: async (c, p) => ({ text: await p.page.innerText(c.at) }),
  html: async (c, p) => ({ text: await p.page.content() }),
  count: async (c, p) => ({ count: await p.page.locator(c.at).count() }),
  eval: async (c, p) => ({ value: await p.page.evaluate(c.text) }),
  shot: (c, p) => p.page.screenshot({ path: c.text, fullPage: c.whole }),
  async axe (c, p) {
    await p.page.evaluate(axe)
    const r = await p.page.evaluate(() => window.axe.run(document, { runOnly: ['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa', 'wcag22aa', 'best-practice'] }))
    return { violations: r.violations.map(v => ({ id: v.id, impact: v.impact, help: v.help, nodes: v.nodes.map(n => n.target.join(' ') + ': ' + n.html.slice(0, 200)) })) }
  },
  seen: (c, p) => ({ url: p.page.url(), errors: p.seen.errors, foreign: p.seen.foreign, bytes: p.seen.bytes }),
  paint: async (c, p) => ({
    value: await p.page.evaluate(() => new Promise(resolve => {
      new PerformanceObserver(list => { for (const e of list.getEntries()) if (e.name === 'first-contentful-paint') resolve(e.startTime) }).observe({ type: 'paint', buffered: true })
      setTimeout(() => resolve(-1), 10000)
    }))
  }),
  async passkeys (c, p) {
    await p.session.send('WebAuthn.enable')
    await p.session.send('WebAuthn.addVirtualAuthenticator', { options: { protocol: 'ctap2', transport: 'internal', hasResidentKey: true, hasUserVerification: true, isUserVerified: true, automaticPresenceSimulation: true } })
  },
  async close (c, p) { await p.context.close(); pages.delete(c.page) }
}

for await (const line of readline.createInterface({ input: process.stdin })) {
  const c = JSON.parse(line)
  let answer
  try {
    answer = (await commands[c.op](c, pages.get(c.page))) || {}
  } catch (e) {
    answer = { error: String(e && e.message || e).slice(0, 2000) }
  }
  process.stdout.write(JSON.stringify(answer) + '\n')
}
await browser.close()
process.exit(0)
