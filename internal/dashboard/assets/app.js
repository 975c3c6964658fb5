// What the dashboard's pages do by themselves: times in the reader's zone, the
// state of the stream, dialogs, confirmations, live numbers and charts.
(function () {
  'use strict'
  var body = document.body, say = body.dataset
  var locale = say.lang === 'ja' ? 'ja-JP' : 'en-GB'

  // Times.
  var clock = new Intl.DateTimeFormat(locale, { hour: '2-digit', minute: '2-digit' })
  var date = new Intl.DateTimeFormat(locale, { month: 'short', day: 'numeric', hour: '2-digit', minute: '2-digit' })
  var full = new Intl.DateTimeFormat(locale, { dateStyle: 'full', timeStyle: 'long' })
  function left (ms) {
    var s = Math.abs(Math.round(ms / 1000)), m = Math.floor(s / 60), h = Math.floor(m / 60)
    var text = h > 0 ? h + ' h ' + (m % 60) + ' min' : m > 0 ? m + ' min ' + (s % 60) + ' s' : s + ' s'
    return (ms < 0 ? say.ago : say.left).replace('%s', text)
  }
  function times (root) {
    root.querySelectorAll('time[data-show]').forEach(function (t) {
      var at = new Date(t.dateTime), show = t.dataset.show
      if (show === 'left') { t.textContent = left(at - Date.now()); return }
      if (t.dataset.done) return
      t.dataset.done = '1'
      t.title = full.format(at)
      var today = new Date().toDateString() === at.toDateString()
      t.textContent = (show === 'clock' && today) ? clock.format(at) : date.format(at)
    })
  }
  setInterval(function () {
    document.querySelectorAll('time[data-show=left]').forEach(function (t) { t.textContent = left(new Date(t.dateTime) - Date.now()) })
  }, 1000)
  times(document)

  // The login link's code: it stands in the fragment, which no server sees.
  var code = document.getElementById('code')
  function useCode () {
    if (!code || location.hash.length < 2) return
    code.value = location.hash.slice(1)
    code.disabled = false
    history.replaceState(null, '', location.pathname + location.search)
    document.getElementById('token').required = false
    document.getElementById('login').submit()
  }
  useCode()
  window.addEventListener('hashchange', useCode) // a link opened where the login is open already

  // The stream. htmx's extension opens it, takes parts in, and opens it again.
  var source = null, lost = false, over = false, last = Date.now(), hint = document.getElementById('link')
  function tell (text) { hint.textContent = text }
  function again () { if (source && source.readyState !== 2) source.close(); if (source && source.onerror) source.onerror(new Event('error')) }
  body.addEventListener('htmx:sseOpen', function (e) {
    source = e.detail.source
    last = Date.now()
    if (lost) { lost = false; tell(say.back); setTimeout(function () { if (!lost && !over) tell('') }, 4000) }
  })
  body.addEventListener('htmx:sseError', function (e) {
    source = e.detail.source
    if (over || document.hidden) return
    if (!lost) { lost = true; tell(say.lost) }
  })
  setInterval(function () { // a connection that died without a word
    if (source && !over && !document.hidden && Date.now() - last > 45000) { last = Date.now(); again() }
  }, 5000)
  document.addEventListener('visibilitychange', function () { // browsers have few connections for each server
    if (!source || over) return
    if (document.hidden) source.close()
    else if (source.readyState === 2) again()
  })
  body.addEventListener('htmx:sseBeforeMessage', function (e) {
    var m = e.detail, el = e.target
    last = Date.now()
    if (m.type === 'alive') return e.preventDefault()
    if (m.type === 'over') {
      e.preventDefault()
      over = true
      source && source.close()
      tell('')
      var a = document.createElement('a')
      a.href = say.login
      a.textContent = say.over
      hint.replaceChildren(a)
      return
    }
    if (m.type === 'flow') { e.preventDefault(); return flow(JSON.parse(m.data)) }
    if (m.type === 'event') {
      if (document.getElementById((m.data.match(/id="(ev-\d+)"/) || [])[1])) e.preventDefault()
      return
    }
    var h = (m.data.match(/^<!--([0-9a-f]{8})-->/) || [])[1]
    if (h && el.dataset.h === h) return e.preventDefault()
    el.dataset.h = h || ''
    el.opened = Array.prototype.map.call(el.querySelectorAll('details[open]'), function (d) { return d.id })
    el.scrolled = Array.prototype.map.call(el.querySelectorAll('.scroll'), function (s) { return s.scrollLeft })
  })
  body.addEventListener('htmx:sseMessage', function (e) {
    var el = e.target
    times(el)
    ;(el.opened || []).forEach(function (id) { var d = id && document.getElementById(id); if (d) d.open = true })
    if (el.scrolled) el.querySelectorAll('.scroll').forEach(function (s, i) { s.scrollLeft = el.scrolled[i] || 0 })
    if (el.id === 'rows') while (el.children.length > Number(el.dataset.most)) el.lastElementChild.remove()
  })

  // Numbers.
  function flow (f) {
    document.querySelectorAll('[data-flow]').forEach(function (el) {
      var x = f.shown[el.dataset.flow]
      if (!x) return
      var text = el.dataset.as === 'line' ? x[0] + '/s · ' + x[1] + ' · p99 ' + x[3] : x[Number(el.dataset.as)]
      if (el.textContent !== text) el.textContent = text
    })
    charts.forEach(function (c) { c.add(f) })
  }

  // Charts: what serves in one colour, the release in the other.
  var charts = [], most = 150
  function color (name) { return getComputedStyle(document.documentElement).getPropertyValue(name).trim() }
  function Chart (el, past) {
    var kind = el.dataset.value, at = { requests: 0, failed: 1, p99: 3 }[kind]
    var keys = [el.dataset.a, el.dataset.b], data = [[], [], []]
    var end = new Date(past.at) / 1000, n = 0
    var found = keys.map(function (key) {
      return past.series.filter(function (s) { return s.service + '|' + s.release === key })[0]
    })
    found.forEach(function (s) { if (s) n = Math.max(n, s[kind].length) })
    for (var i = 0; i < n; i++) {
      data[0].push(end - (n - 1 - i) * past.every)
      found.forEach(function (s, k) { data[k + 1].push(s && s[kind].length >= n - i ? value(s[kind][s[kind].length - n + i]) : null) })
    }
    function value (v) { return kind === 'failed' ? v * 100 : kind === 'p99' ? (v ? v * 1000 : null) : v }
    var unit = kind === 'failed' ? '%' : kind === 'p99' ? ' ms' : ''
    var axis = { stroke: color('--dim'), grid: { stroke: color('--line'), width: 1 }, ticks: { show: false }, font: '11px system-ui', size: 44 }
    var plot = new uPlot({
      title: el.dataset.title, width: el.clientWidth || 300, height: 118, legend: { show: false }, cursor: { show: false }, padding: [4, 6, 0, 0],
      scales: { y: { range: function (u, lo, hi) { return [0, Math.max(kind === 'failed' ? 1 : 0.1, hi || 0) * 1.15] } } },
      axes: [Object.assign({}, axis, { size: 22, space: 70, values: function (u, v) { return v.map(function (t) { return clock.format(t * 1000) }) } }),
        Object.assign({}, axis, { space: 30, values: function (u, v) { return v.map(function (y) { return +y.toPrecision(3) + unit }) } })],
      series: [{}, { stroke: color('--a'), width: 1.5 }, { stroke: color('--b'), width: 1.8 }]
    }, data, el)
    this.add = function (f) {
      var t = new Date(f.at) / 1000
      if (!f.at || (data[0].length && t <= data[0][data[0].length - 1])) return
      data[0].push(t)
      keys.forEach(function (key, k) { var x = f.now[key]; data[k + 1].push(x ? value(x[at]) : null) })
      if (data[0].length > most) data.forEach(function (d) { d.shift() })
      plot.setData(data)
      el.setAttribute('aria-label', el.dataset.title + ': ' + keys.map(function (key) { return key.replace('|', ' ') + ' ' + ((f.shown[key] || [])[at] || '–') }).join(', '))
    }
    this.size = function () { plot.setSize({ width: el.clientWidth || 300, height: 118 }) }
  }
  var places = document.querySelectorAll('.chart')
  if (places.length && window.uPlot) {
    fetch(say.flow, { credentials: 'same-origin' }).then(function (r) { return r.json() }).then(function (past) {
      if (!past.series) return
      places.forEach(function (el) { charts.push(new Chart(el, past)) })
    }).catch(function () {})
    var resizing
    window.addEventListener('resize', function () { clearTimeout(resizing); resizing = setTimeout(function () { charts.forEach(function (c) { c.size() }) }, 150) })
  }

  // Dialogs: what a button asks for is shown in one.
  var dialog = document.getElementById('dialog'), inside = document.getElementById('dialog-body'), opener = null
  body.addEventListener('htmx:beforeRequest', function (e) {
    if (e.detail.target === inside && !dialog.open) opener = document.activeElement && document.activeElement.id
  })
  body.addEventListener('htmx:afterSwap', function (e) {
    if (!e.detail.target) return // the stream's: it is seen to above
    times(e.detail.target)
    if (e.detail.target !== inside) return
    if (!dialog.open) dialog.showModal()
    inside.querySelectorAll('[data-zone]').forEach(function (z) { z.value = new Date().getTimezoneOffset() })
    var first = inside.querySelector('[role=alert], input:not([type=hidden]), select, button, a')
    if (first) { if (first.getAttribute('role') === 'alert') first.tabIndex = -1; first.focus() }
  })
  body.addEventListener('done', function () { // said by the answer to a form
    requestAnimationFrame(function () {
      document.getElementById('said').replaceChildren.apply(document.getElementById('said'), Array.prototype.slice.call(inside.childNodes))
      dialog.close()
    })
  })
  dialog.querySelector('.close').addEventListener('click', function () { dialog.close() })
  dialog.addEventListener('click', function (e) { if (e.target === dialog) dialog.close() })
  dialog.addEventListener('close', function () {
    inside.replaceChildren()
    var back = opener && document.getElementById(opener)
    ;(back || document.getElementById('main')).focus({ preventScroll: true })
  })
  body.addEventListener('htmx:sendError', function () { tell(say.lost) })

  // Confirmations: the name typed, or the button held.
  var timer = null
  function holds (target) { return target.closest && target.closest('button.hold') }
  function typed (button) { var i = button.form.querySelector('[data-confirm]'); return i && i.value.trim() === i.dataset.confirm }
  function press (button) {
    if (timer || typed(button)) return
    button.classList.add('holding')
    timer = setTimeout(function () {
      timer = null
      button.classList.remove('holding')
      button.form.held.value = '1'
      button.fired = true
      button.form.requestSubmit(button)
    }, 1200)
  }
  function release () {
    if (!timer) return
    clearTimeout(timer)
    timer = null
    document.querySelectorAll('.holding').forEach(function (b) { b.classList.remove('holding') })
  }
  document.addEventListener('pointerdown', function (e) { var b = holds(e.target); if (b && e.button === 0) press(b) })
  ;['pointerup', 'pointercancel', 'blur'].forEach(function (n) { window.addEventListener(n, release) })
  document.addEventListener('keydown', function (e) {
    var b = holds(e.target)
    if (b && (e.key === ' ' || e.key === 'Enter') && !typed(b)) { e.preventDefault(); if (!e.repeat) press(b) }
  })
  document.addEventListener('keyup', function (e) { if (holds(e.target)) { if (!typed(holds(e.target))) e.preventDefault(); release() } })
  document.addEventListener('click', function (e) {
    var b = holds(e.target)
    if (b && b.fired) { e.preventDefault(); e.stopPropagation(); return }
    if (b && !typed(b)) { e.preventDefault(); e.stopPropagation(); b.form.querySelector('[data-confirm]').focus() }
    var c = e.target.closest && e.target.closest('[data-copy]')
    if (c) {
      var field = document.getElementById(c.dataset.copy)
      field.select()
      if (navigator.clipboard) navigator.clipboard.writeText(field.value).then(function () { c.textContent = say.copied }, function () {})
    }
  }, true)
})()
