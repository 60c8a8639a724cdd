import { ElMessage } from 'element-plus'
import { h } from 'vue'
import { ApiProblem } from '@/client'
import { problemWords } from './problems'

export function say(message: string): void {
  ElMessage({ message, type: 'success', grouping: true, duration: 3000 })
}

/** What failed, and why. */
export function complain(what: string, error: unknown): void {
  const [words, detail] = reason(error).split('\n')
  const message = detail ? h('div', [`${what}: ${words}`, h('small', { class: 'small-print' }, detail)]) : `${what}: ${words}`
  ElMessage({ message, type: 'error', grouping: true, duration: 8000, showClose: true })
}

/** Why it failed; behind a line break what the server said of it, where that is not the same. */
export function reason(error: unknown): string {
  if (error instanceof ApiProblem) return problemWords(error)
  return error instanceof Error ? error.message : String(error)
}
