import { ElMessage } from 'element-plus'
import { ApiProblem } from '@/client'
import { isChinese, t, word } from '@/l10n'

export function say(message: string): void {
  ElMessage({ message, type: 'success', grouping: true, duration: 3000 })
}

/** What failed, and why in the server's own words. */
export function complain(what: string, error: unknown): void {
  ElMessage({ message: `${what}: ${reason(error)}`, type: 'error', grouping: true, duration: 8000, showClose: true })
}

export function reason(error: unknown): string {
  if (error instanceof ApiProblem) {
    if (error.status === 0) return t('error.unreachable')
    const fields = error.errors.map((e) => [e.field, e.message].filter(Boolean).join(' ')).join('; ')
    return [knownProblem(error) || error.detail || error.title, fields].filter(Boolean).join(' — ')
  }
  return error instanceof Error ? error.message : String(error)
}

/** What happens often is said in the operator's language; '' for the rest, which the server words. */
function knownProblem(error: ApiProblem): string {
  if (!isChinese.value || !error.kind) return ''
  const key = `problem.${error.kind}`
  const values = Object.fromEntries(Object.entries(error.facts).map(([name, value]) => [name, String(value ?? '')]))
  if (typeof error.facts.state === 'string') values.state = word('alarmState', error.facts.state)
  const text = word('problem', error.kind, values)
  return text === error.kind || text === key ? '' : text
}
