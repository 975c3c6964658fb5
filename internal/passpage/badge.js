// The badge on a page of the fleet, for holders of a pass. It loads nothing,
// keeps to a shadow root of its own, and leaves the page's document as it was but
// for one element behind its body.
(() => {
  'use strict';
  const tag = document.currentScript;
  if (!tag || document.querySelector('greenroom-badge')) return;
  const {release, state, until, lang} = tag.dataset;
  tag.remove();
  const words = {
    en: {
      on: `You are looking at ${release}`, off: `Preview off: ${release} is not shown`, elsewhere: `${release} is shown on other pages only`,
      left: (m) => m < 60 ? `${m} min left` : `${Math.floor(m / 60)} h ${m % 60} min left`, over: 'the pass is over',
      switchOff: 'Off', switchOn: 'On', more: 'Passes', hide: 'Hide this badge', name: 'Preview',
    },
    ja: {
      on: `${release} を表示中`, off: `プレビューはオフ (${release})`, elsewhere: `${release} は別のページで表示されます`,
      left: (m) => m < 60 ? `あと ${m} 分` : `あと ${Math.floor(m / 60)} 時間 ${m % 60} 分`, over: 'パスは期限切れです',
      switchOff: 'オフ', switchOn: 'オン', more: 'パス一覧', hide: 'バッジを隠す', name: 'プレビュー',
    },
  }[lang === 'ja' ? 'ja' : 'en'];
  const here = location.pathname + location.search;
  const element = (name, props, ...children) => {
    const e = document.createElement(name);
    Object.assign(e, props);
    e.append(...children);
    return e;
  };
  const form = (action, fields, button) => {
    const f = element('form', {method: 'post', action});
    for (const [name, value] of Object.entries({...fields, to: here})) f.append(element('input', {type: 'hidden', name, value}));
    f.append(button);
    return f;
  };
  const show = () => {
    const host = document.createElement('greenroom-badge');
    const root = host.attachShadow({mode: 'open'});
    const sheet = new CSSStyleSheet();
    sheet.replaceSync(`
      :host { all: initial; position: fixed; z-index: 2147483647; inset: auto max(.75rem, env(safe-area-inset-right)) max(.75rem, env(safe-area-inset-bottom)) auto; max-width: calc(100vw - 1.5rem); color-scheme: light dark; }
      @media print { :host { display: none; } }
      section { display: flex; flex-wrap: wrap; align-items: center; gap: .35rem .6rem; padding: .4rem .4rem .4rem .8rem; border-radius: 1.25rem; background: #17201b; color: #f6f8f6; border: 1px solid #6fd3a0; font: 14px/1.3 system-ui, sans-serif; box-shadow: 0 2px 12px #0006; overflow-wrap: anywhere; }
      section.off { background: #4a4f4c; border-color: #b9c4bd; }
      form { margin: 0; }
      button, a { display: inline-block; min-height: 32px; min-width: 32px; box-sizing: border-box; padding: 6px 10px; border: 1px solid #6fd3a0; border-radius: 1rem; background: transparent; color: #a8ecc9; font: inherit; line-height: 18px; text-decoration: none; cursor: pointer; }
      .off button, .off a { border-color: #dfe6e2; color: #fff; }
      :focus-visible { outline: 3px solid #fff; outline-offset: 2px; }
      .left { color: #c9d6cf; }
    `);
    root.adoptedStyleSheets = [sheet];
    const left = element('span', {className: 'left'});
    const count = () => {
      const minutes = Math.ceil((new Date(until) - Date.now()) / 60000);
      left.textContent = minutes > 0 ? words.left(minutes) : words.over;
    };
    count();
    setInterval(count, 30000);
    const button = (text, label) => {
      const b = element('button', {type: 'submit', textContent: text});
      if (label) b.setAttribute('aria-label', label);
      return b;
    };
    const bar = element('section', {className: state === 'off' ? 'off' : 'on', lang},
      element('span', {textContent: words[state] || words.on}), left,
      state === 'off' ? form('/.greenroom/switch', {release}, button(words.switchOn)) : form('/.greenroom/leave', {}, button(words.switchOff)),
      element('a', {href: '/.greenroom/?to=' + encodeURIComponent(here), textContent: words.more}),
      form('/.greenroom/badge', {show: 'off'}, button('×', words.hide)));
    bar.setAttribute('aria-label', words.name);
    root.append(bar);
    document.documentElement.append(host);
  };
  if (document.body) show();
  else addEventListener('DOMContentLoaded', show);
})();
