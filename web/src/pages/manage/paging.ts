/** A filtered list, a page of it at a time. */

import { computed, shallowRef, watch, type ComputedRef } from 'vue'

export const PAGE_SIZE = 50

export function usePaging<T>(items: ComputedRef<T[]>) {
  const page = shallowRef(1)
  const pageItems = computed(() => items.value.slice((page.value - 1) * PAGE_SIZE, page.value * PAGE_SIZE))
  watch(
    () => items.value.length,
    (length) => {
      page.value = Math.min(page.value, Math.max(1, Math.ceil(length / PAGE_SIZE)))
    },
  )
  return { page, pageItems }
}
