/** A list that is read page by page. An answer that a newer question has overtaken is of no use any more. */

import { shallowRef } from 'vue'
import type { Page } from '@/client'

export function useListing<T>(ask: (cursor: string | null) => Promise<Page<T>>, failed: (error: unknown) => void) {
  const items = shallowRef<T[]>([])
  const next = shallowRef<string | null>(null)
  const isBusy = shallowRef(false)
  const isRead = shallowRef(false)
  let asked = 0

  async function read(isMore = false): Promise<void> {
    const mine = ++asked
    isBusy.value = true
    try {
      const page = await ask(isMore ? next.value : null)
      if (mine !== asked) return
      items.value = isMore ? [...items.value, ...page.items] : page.items
      next.value = page.next
      isRead.value = true
    } catch (error) {
      if (mine === asked) failed(error)
    } finally {
      if (mine === asked) isBusy.value = false
    }
  }

  return { items, next, isBusy, isRead, read }
}
