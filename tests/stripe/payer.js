// A payer in front of the page of a challenge, as a browser without scripts is.

export const pageOf = (intent) =>
    intent.next_action.redirect_to_url?.url ?? intent.next_action.use_stripe_sdk.stripe_js;

// What a browser does: the page, its form with the button that is pressed, the redirect.
export async function look(address) {
    const response = await fetch(address, {redirect: 'manual'});
    return {response, html: await response.text()};
}

export function formOf(html, address) {
    const [, action] = html.match(/<form method="post" action="([^"]*)">/);
    const fields = new URLSearchParams([...html.matchAll(/<input type="hidden" name="(\w+)" value="([^"]*)">/g)]
        .map(([, name, value]) => [name, value]));
    return {action: new URL(action, address), fields};
}

export async function answer(address, decision) {
    const {html} = await look(address);
    const {action, fields} = formOf(html, address);
    fields.set('decision', decision);
    let response = await fetch(action, {method: 'POST', body: fields, redirect: 'manual'});
    // The page may send the browser to itself while the end is under way.
    for (let i = 0; i < 50; i++) {
        const next = response.headers.get('location');
        if (response.status === 303 && !new URL(next, action).pathname.startsWith('/3ds/')) break;
        if (response.status !== 303) {
            const text = await response.text();
            if (!/http-equiv="refresh"/.test(text)) break;
            await new Promise((resolve) => setTimeout(resolve, 50));
        }
        response = await fetch(response.status === 303 ? new URL(next, action) : response.url, {redirect: 'manual'});
    }
    return response;
}
