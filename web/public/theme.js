// Before the first paint, so that a light console does not flash dark. A file of its own: the page allows no inline script.
try {
  if (localStorage.getItem('roadwarden.theme') === '"light"') document.documentElement.classList.remove('dark')
} catch {
  // storage forbidden: the dark default stands
}
