use crate::domain::Caller;
use crate::http::respond::{Body, response};
use crate::identity::Profile;

response! {
    /// The caller.
    Profile as "User" {
        id,
        email,
        name,
        role,
    }
    from { caller: Caller { id, role }, email, name, avatar_url: _ };
    example {
        "id": "65a1b2c3d4e5f60718293a00", "email": "ada@example.com", "name": "Ada", "role": "author",
    }
}

pub(crate) async fn show(profile: Profile) -> Body<Profile> {
    Body(profile)
}
