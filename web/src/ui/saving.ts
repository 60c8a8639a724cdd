/** A form's request: one at a time, and why it was refused stays before the eyes. */

import { shallowRef } from 'vue'
import { reason } from './notify'

export function useSaving() {
  const isBusy = shallowRef(false)
  const failure = shallowRef('')

  /** `ask` ends with what follows when all went well: close, say so, read anew. */
  async function save(ask: () => Promise<void>): Promise<void> {
    if (isBusy.value) return
    isBusy.value = true
    failure.value = ''
    try {
      await ask()
    } catch (error) {
      failure.value = reason(error)
    } finally {
      isBusy.value = false
    }
  }

  return { isBusy, failure, save }
}
