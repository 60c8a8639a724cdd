/**
 * At most one update a second, never two at once, and never while nobody looks. Asking more often only means that the
 * newest state is drawn when the time has come.
 */
export function paced(work: () => Promise<void>, intervalMs = 1000): { ask(): void; stop(): void } {
  let isBusy = false
  let isWanted = false
  let last = -Infinity
  let timer: ReturnType<typeof setTimeout> | undefined

  async function run(): Promise<void> {
    timer = undefined
    if (document.hidden) return
    isBusy = true
    isWanted = false
    last = performance.now()
    try {
      await work()
    } finally {
      isBusy = false
      if (isWanted) ask()
    }
  }

  function ask(): void {
    isWanted = true
    if (isBusy || timer !== undefined) return
    timer = setTimeout(() => void run(), Math.max(0, intervalMs - (performance.now() - last)))
  }

  const onVisible = () => {
    if (!document.hidden && isWanted) ask()
  }
  document.addEventListener('visibilitychange', onVisible)
  return {
    ask,
    stop() {
      clearTimeout(timer)
      document.removeEventListener('visibilitychange', onVisible)
    },
  }
}
