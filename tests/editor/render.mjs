// Renders every node and mark of the official TipTap extensions to HTML, in the variants of their options, and writes
// output.json. Fails if a node or mark of an extension is in no variant.
//
// `make editor-output` installs the pinned packages and runs it.

import { writeFileSync } from 'node:fs'
import { getSchema } from '@tiptap/core'
import { generateHTML } from '@tiptap/html'
import StarterKit from '@tiptap/starter-kit'
import { Audio } from '@tiptap/extension-audio'
import { CodeBlockLowlight } from '@tiptap/extension-code-block-lowlight'
import { Details, DetailsContent, DetailsSummary } from '@tiptap/extension-details'
import { Emoji, emojis } from '@tiptap/extension-emoji'
import { Highlight } from '@tiptap/extension-highlight'
import { Image } from '@tiptap/extension-image'
import { TaskItem, TaskList } from '@tiptap/extension-list'
import { BlockMath, InlineMath } from '@tiptap/extension-mathematics'
import { Mention } from '@tiptap/extension-mention'
import { Subscript } from '@tiptap/extension-subscript'
import { Superscript } from '@tiptap/extension-superscript'
import { Table, TableCell, TableHeader, TableRow } from '@tiptap/extension-table'
import { TableOfContents } from '@tiptap/extension-table-of-contents'
import { TextAlign } from '@tiptap/extension-text-align'
import { TextStyleKit } from '@tiptap/extension-text-style'
import { Twitch } from '@tiptap/extension-twitch'
import { UniqueID } from '@tiptap/extension-unique-id'
import { Youtube } from '@tiptap/extension-youtube'
import { common, createLowlight } from 'lowlight'

const text = (content, ...marks) => ({
  type: 'text',
  text: content,
  ...(marks.length ? { marks: marks.map(mark => (typeof mark === 'string' ? { type: mark } : mark)) } : {}),
})
const node = (type, attrs, ...content) => ({
  type,
  ...(attrs ? { attrs } : {}),
  ...(content.length ? { content } : {}),
})
const p = (...content) => node('paragraph', null, ...content)
const mark = (type, attrs) => ({ type, attrs })
const styled = attrs => p(text('styled', mark('textStyle', attrs)))
const link = attrs => p(text('a link', mark('link', attrs)))
const cells = (type, ...attrs) => node('tableRow', null, ...attrs.map(a => node(type, a, p(text('cell')))))
const table = node(
  'table',
  null,
  cells('tableHeader', { colwidth: [120] }, { colspan: 2, colwidth: [100, 200] }),
  cells('tableCell', { colwidth: [120] }, { rowspan: 2, align: 'center' }, { align: 'right' }),
)
const starter = options => [StarterKit.configure(options ?? {})]

const difficult = 'a < b && c > d "quoted" \u00a0 it\'s é ☕ 日本語 &amp; <b>'
const player = { src: 'https://www.youtube.com/watch?v=dQw4w9WgXcQ' }
const picture = { src: '/uploads/a.webp', alt: 'a "picture" <1>', title: 'it\'s', width: 1200, height: 800 }
const emoji = name => p(node('emoji', { name }))
const lists = [
  node('bulletList', null, node('listItem', null, p(text('one')), node('bulletList', null, node('listItem', null, p(text('deeper')))))),
  node('orderedList', null, node('listItem', null, p(text('one')))),
  node('orderedList', { start: 3, type: 'a' }, node('listItem', null, p(text('three')))),
]
const headings = [1, 2, 3, 4, 5, 6].map(level => node('heading', { level }, text(`Heading ${level}`)))

// Each variant: its name, the extensions, and the nodes of the document.
const variants = [
  ['text', starter(), [p(), p(text(difficult)), p(text('  two  spaces\u00a0\u00a0'), node('hardBreak'), text('next line'))]],
  ['marks', starter(), ['bold', 'italic', 'strike', 'underline', 'code'].map(name => p(text('plain '), text(difficult, name)))],
  ['nested marks', starter(), [p(text('a', 'bold'), text('b', 'bold', 'italic'), text('c', 'italic', 'underline', 'strike'))]],
  ['headings', starter(), headings],
  ['lists', starter(), lists],
  ['blocks', starter(), [node('blockquote', null, p(text('said')), ...lists), node('horizontalRule'), p(text('end'))]],
  ['code', starter(), [
    node('codeBlock', null, text('plain\n\n  code &amp; <b>')),
    node('codeBlock', { language: 'rust' }, text('\nfn main() {\n    let a = b < c && d > e;\n}\n')),
    node('codeBlock', { language: 'c++' }, text('int a;')),
    node('codeBlock', { language: 'objective-c' }),
  ]],
  ['code with highlighting', [...starter({ codeBlock: false }), CodeBlockLowlight.configure({ lowlight: createLowlight(common), defaultLanguage: 'plaintext' })], [
    node('codeBlock', { language: 'js' }, text('const a = "b"')),
    node('codeBlock', null, text('x')),
  ]],
  ['links', starter(), [
    link({ href: 'https://example.com/?a=1&b=2#c' }),
    link({ href: '/stories/x?y="z"' }),
    link({ href: '#top', target: '_self', rel: 'noopener' }),
    link({ href: 'https://example.com', target: null, rel: null }),
    link({ href: 'https://example.com', rel: 'NoFollow NoOpener', target: '_BLANK' }),
    link({ href: 'https://example.com', class: 'mention', title: 'said' }),
    link({ href: 'https://example.com/a b/é?q=日本' }),
    ...['http', 'ftp', 'ftps', 'mailto', 'tel', 'callto', 'sms', 'cid', 'xmpp'].map(scheme => link({ href: `${scheme}:example` })),
    link({ href: 'javascript:alert(1)' }),
  ]],
  ['highlight', [...starter(), Highlight], [p(text('marked', 'highlight'))]],
  ['highlight with colors', [...starter(), Highlight.configure({ multicolor: true })],
    ['#ffc078', 'red', 'rgb(255, 0, 0)', 'rgb(255 0 0 / 50%)', 'hsl(120deg 75% 25%)', 'oklch(40% 0.2 29)', 'var(--tt-color-highlight-green)', 'color-mix(in srgb, red 20%, blue)', 'transparent']
      .map(color => p(text('marked', mark('highlight', { color }))))],
  ['text styles', [...starter(), TextStyleKit], [
    ...['#958DF1', '#fff', '#ffffff80', 'rebeccapurple', 'rgb(149, 141, 241)', 'rgba(149, 141, 241, .5)', 'hsl(250, 78%, 75%)', 'rgb(149 141 241 / 0.5)', 'var(--purple)', 'var(--purple, #958DF1)', 'currentColor']
      .map(color => styled({ color })),
    styled({ backgroundColor: '#ffc078' }),
    styled({ backgroundColor: 'var(--tt-color)' }),
    ...['Inter', '"Comic Sans MS", "Comic Sans"', "'Exo 2', serif", 'cursive', 'var(--title-font-family)', 'monospace'].map(fontFamily => styled({ fontFamily })),
    ...['28px', '1.5rem', '120%', 'large', 'clamp(1rem, 2vw, 3rem)', 'calc(1rem + 2px)'].map(fontSize => styled({ fontSize })),
    ...['1.5', '4.0', '24px', '150%', 'normal'].map(lineHeight => styled({ lineHeight })),
    styled({ color: 'red', backgroundColor: '#eee', fontFamily: 'Inter, sans-serif', fontSize: '14px', lineHeight: '2' }),
    styled({}),
  ]],
  ['text align', [...starter(), TextAlign.configure({ types: ['heading', 'paragraph'] })],
    ['left', 'center', 'right', 'justify'].flatMap(textAlign => [
      node('paragraph', { textAlign }, text(textAlign)),
      node('heading', { level: 2, textAlign }, text(textAlign)),
    ])],
  ['text direction', [...starter()], [p(text('שלום'))]],
  ['sub and superscript', [...starter(), Subscript, Superscript], [p(text('H'), text('2', 'subscript'), text('O, mc'), text('2', 'superscript'))]],
  ['images', [...starter(), Image], [
    node('image', picture),
    node('image', { src: 'https://example.com/a.png?b=1&c=2' }),
    node('image', { src: 'https://example.com/a.png', alt: '' }),
  ]],
  ['inline images', [...starter(), Image.configure({ inline: true, HTMLAttributes: { class: 'responsive-image', loading: 'lazy' } })], [p(text('a '), node('image', picture), text(' b'))]],
  ['resizable images', [...starter(), Image.configure({ resize: { enabled: true, directions: ['top', 'left'], alwaysPreserveAspectRatio: true } })], [node('image', picture)]],
  ['responsive images', [...starter(), Image.extend({
    addAttributes() {
      return { ...this.parent?.(), srcset: {}, sizes: {}, class: {}, 'data-original-src': {} }
    },
  })], [node('image', {
    ...picture,
    srcset: '/uploads/a.webp 1200w, /uploads/a_750.webp 750w, /uploads/a_500.webp 500w',
    sizes: '(max-width: 500px) 500px, (max-width: 750px) 750px, 1200px',
    class: 'responsive-image',
    'data-original-src': '/uploads/a.jpg',
  })]],
  ['task lists', [...starter(), TaskList, TaskItem.configure({ nested: true })], [
    node('taskList', null,
      node('taskItem', { checked: true }, p(text('done'))),
      node('taskItem', { checked: false }, p(text('to do')), node('taskList', null, node('taskItem', { checked: false }, p(text('deeper')))))),
  ]],
  ['tables', [...starter(), Table, TableRow, TableHeader, TableCell], [table]],
  ['resizable tables', [...starter(), Table.configure({ resizable: true, renderWrapper: true, cellMinWidth: 40 }), TableRow, TableHeader, TableCell], [table]],
  ['tables with backgrounds', [...starter(), Table, TableRow, TableHeader, TableCell.extend({
    addAttributes() {
      return {
        ...this.parent?.(),
        backgroundColor: {
          renderHTML: attributes => ({ 'data-background-color': attributes.backgroundColor, style: `background-color: ${attributes.backgroundColor}` }),
        },
      }
    },
  })], [node('table', null, cells('tableCell', { backgroundColor: '#eef' }, { backgroundColor: 'var(--gray)', align: 'left' }))]],
  ['details', [...starter(), Details, DetailsSummary, DetailsContent], [
    node('details', null, node('detailsSummary', null, text('More')), node('detailsContent', null, p(text('inside')))),
  ]],
  ['open details', [...starter(), Details.configure({ persist: true, HTMLAttributes: { class: 'details' } }), DetailsSummary, DetailsContent], [
    node('details', { open: true }, node('detailsSummary', null, text('More')), node('detailsContent', null, p(text('inside')))),
    node('details', { open: false }, node('detailsSummary', null, text('More')), node('detailsContent', null, p(text('inside')))),
  ]],
  ['emoji', [...starter(), Emoji], [emoji('smile'), emoji('+1'), emoji('octocat'), emoji('unknown')]],
  ['emoji as images', [...starter(), Emoji.configure({ emojis, forceFallbackImages: true, HTMLAttributes: { class: 'emoji' } })], [emoji('smile'), emoji('octocat')]],
  ['mathematics', [...starter(), InlineMath, BlockMath], [
    p(text('so '), node('inlineMath', { latex: 'a < b \\implies \\sqrt{x} > "0" & y\'' })),
    node('blockMath', { latex: '\\begin{matrix}a & b\\\\c & d\\end{matrix}' }),
  ]],
  ['mentions', [...starter(), Mention], [p(node('mention', { id: 'ada', label: 'Ada "L" <3' }), text(' '), node('mention', { id: 'alan' }))]],
  ['mentions of several kinds', [...starter(), Mention.configure({ HTMLAttributes: { class: 'mention' }, suggestions: [{ char: '@' }, { char: '#' }] })], [
    p(node('mention', { id: 'ada', label: 'Ada', mentionSuggestionChar: '@' }), text(' '), node('mention', { id: 'rust', label: 'rust', mentionSuggestionChar: '#' })),
  ]],
  ['table of contents', [...starter(), TableOfContents], headings.map((heading, index) => ({
    ...heading,
    attrs: { ...heading.attrs, id: `heading-${index}`, 'data-toc-id': `heading-${index}` },
  }))],
  ['table of contents with random ids', [...starter(), TableOfContents], [
    node('heading', { level: 2, id: '0b8c3f0e-5e1f-4b5a-9a39-0f6f6f3e7d11', 'data-toc-id': '0b8c3f0e-5e1f-4b5a-9a39-0f6f6f3e7d11' }, text('Heading')),
  ]],
  ['unique ids', [...starter(), UniqueID.configure({ types: ['heading', 'paragraph'], updateDocument: false })], [
    node('heading', { level: 2, id: '0b8c3f0e-5e1f-4b5a-9a39-0f6f6f3e7d11' }, text('Heading')),
    node('paragraph', { id: 'x' }, text('text')),
  ]],
  ['unique ids of another name', [...starter(), UniqueID.configure({ types: ['paragraph'], attributeName: 'uid', updateDocument: false })], [
    node('paragraph', { uid: 'x' }, text('text')),
  ]],
  ['audio', [...starter(), Audio], [node('audio', { src: '/uploads/a.mp3' })]],
  ['audio with all options', [...starter(), Audio.configure({
    autoplay: true, controls: true, loop: true, muted: true, preload: 'none', controlslist: 'nodownload', crossorigin: 'anonymous', disableRemotePlayback: true,
  })], [node('audio', { src: 'https://example.com/a.ogg' })]],
  ['inline audio', [...starter(), Audio.configure({ inline: true, controls: false })], [p(text('a '), node('audio', { src: '/uploads/a.mp3' }))]],
  ['youtube', [...starter(), Youtube], [node('youtube', player), node('youtube', { ...player, start: 7, width: 320, height: 240 })]],
  ['youtube with all options', [...starter(), Youtube.configure({
    allowFullscreen: false, autoplay: true, ccLanguage: 'de', ccLoadPolicy: true, controls: false, disableKBcontrols: true, enableIFrameApi: true,
    endTime: 15, height: 300, interfaceLanguage: 'de', ivLoadPolicy: 3, loop: true, modestBranding: true, nocookie: true,
    origin: 'https://example.com', playlist: 'VIDEO_ID_1,VIDEO_ID_2', progressBarColor: 'white', rel: 0, width: 400,
  })], [node('youtube', { src: 'https://youtu.be/dQw4w9WgXcQ', start: 3 }), node('youtube', { src: 'https://www.youtube.com/playlist?list=PL1' })]],
  ['twitch', [...starter(), Twitch.configure({ parent: 'example.com' })], [
    node('twitch', { src: 'https://www.twitch.tv/videos/1234567' }),
    node('twitch', { src: 'https://www.twitch.tv/somebody' }),
    node('twitch', { src: 'https://clips.twitch.tv/SomeClip', width: 320, height: 240 }),
  ]],
  ['twitch with all options', [...starter(), Twitch.configure({ parent: 'example.com', allowFullscreen: false, autoplay: true, muted: true, time: '1h2m3s', width: 400, height: 300 })], [
    node('twitch', { src: 'https://www.twitch.tv/videos/1234567' }),
  ]],
]

const known = new Set()
const rendered = new Set()
const output = {}
for (const [name, extensions, content] of variants) {
  const { nodes, marks } = getSchema(extensions)
  Object.keys({ ...nodes, ...marks }).forEach(type => known.add(type))
  const doc = { type: 'doc', content }
  const visit = part => {
    rendered.add(part.type)
    part.marks?.forEach(visit)
    part.content?.forEach(visit)
  }
  visit(doc)
  output[name] = generateHTML(doc, extensions)
}
const missing = [...known].filter(type => !rendered.has(type))
if (missing.length > 0) {
  throw new Error(`no variant has ${missing.join(', ')}`)
}
writeFileSync(new URL('output.json', import.meta.url), `${JSON.stringify(output, null, 1)}\n`)
console.log(`${Object.keys(output).length} texts, ${rendered.size} nodes and marks`)
