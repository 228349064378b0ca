// Runs the suite without its page for browsers: node run.mjs PACKAGE_FOLDER BASE_URL [TEST_ID...]
// One test alone shows what is sent and received. Prints {id: {kind, suite, passed, why}} of the tests that apply to shared caches. The suite of
// Surrogate-Control is left out: the edge follows RFC 9213 instead.
import { createRequire } from 'module'
import { pathToFileURL } from 'url'

const [folder, base, ...only] = process.argv.slice(2)
const load = path => import(pathToFileURL(`${folder}/${path}`))
const { runTests, getResults } = await load('client/runner.mjs')
const { default: suites } = await load('tests/index.mjs')
const fetch = createRequire(`${folder}/`)('node-fetch')

const chosen = only.length
  ? suites.map(suite => ({ ...suite, tests: suite.tests.filter(test => only.includes(test.id)) }))
  : suites
if (only.length === 1) chosen.forEach(suite => suite.tests.forEach(test => { test.dump = true }))
await runTests(chosen, fetch, false, base)
const results = getResults()
const told = {}
for (const suite of chosen) {
  for (const test of suite.tests) {
    if (!(test.id in results)) continue
    const result = results[test.id]
    told[test.id] = {
      kind: test.kind || 'required',
      suite: suite.id,
      passed: result === true,
      why: result === true ? '' : result.join(': ')
    }
  }
}
console.log(JSON.stringify(told))
