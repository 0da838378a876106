// Runs scripts/action.sh with the inputs and with the variables of GitHub's cache, which this process has.
'use strict'
const { spawn } = require('node:child_process')
const path = require('node:path')

const input = (name) => (process.env[`INPUT_${name.toUpperCase()}`] ?? '').trim()
const root = path.dirname(__dirname)
const env = { ...process.env, NOXIDE_ACTION_PATH: root, NOXIDE_REMOTE: input('remote') }
for (const name of ['sessions', 'args', 'dir', 'install', 'source', 'binary']) {
  env[`NOXIDE_ACTION_${name.toUpperCase()}`] = input(name)
}
// Inputs are variables of this process: sessions need none of them.
for (const name of Object.keys(env)) if (name.startsWith('INPUT_')) delete env[name]

const child = spawn('sh', [path.join(root, 'scripts', 'action.sh')], { env, stdio: 'inherit' })
// noxide ends its sessions and writes the record: wait for it.
for (const signal of ['SIGINT', 'SIGTERM']) process.on(signal, () => child.kill(signal))
child.on('error', (error) => {
  console.error(`cannot start sh: ${error.message}`)
  process.exitCode = 3
})
child.on('exit', (code, signal) => {
  process.exitCode = code ?? (signal === 'SIGINT' ? 130 : 143)
})
