import { ElMessage } from 'element-plus'
import { ApiProblem } from '@/client'
import { t } from '@/l10n'

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
    return [error.detail || error.title, fields].filter(Boolean).join(' — ')
  }
  return error instanceof Error ? error.message : String(error)
}
