/* The help of a command, from its tables; and that of formulas, from the library's. */
#include "command.h"
#include "target.h"

#include <weir/models.h>

#include <string.h>

enum { INDENT = 28 };

void help_print_option(const struct command *command, const struct option *option, FILE *to)
{
    char expects[160];
    fprintf(to, "%s", option->help);
    if (option->kind == OPTION_CHOICE || option->known) fprintf(to, ": %s", option_expects(option, expects));
    const char *initial = command_default(command, option);
    if (option->required) fprintf(to, " (required)");
    if (initial) fprintf(to, " [%s]", initial);
}

static void print_option(const struct command *command, const struct option *option, FILE *to)
{
    int width = option->letter ? fprintf(to, "  -%c, --%s", option->letter, option->name)
                               : fprintf(to, "      --%s", option->name);
    if (option->value) width += fprintf(to, " %s", option->value);
    if (width >= INDENT - 1) width = fprintf(to, "\n") - 1;
    fprintf(to, "%*s", INDENT - width, "");
    help_print_option(command, option, to);
    fprintf(to, "\n");
}

void help_print(const struct command *command, FILE *to)
{
    const struct option *option;
    fprintf(to, "usage: weir %s", command->name);
    for (size_t i = 0; i < MOST_POSITIONALS && command->positionals[i].name; i++)
        fprintf(to, " %s", command->positionals[i].name);
    for (size_t i = 0; (option = command_option(command, i)); i++)
        if (option->required && option->letter)
            fprintf(to, " -%c %s", option->letter, option->value);
        else if (option->required)
            fprintf(to, " --%s %s", option->name, option->value);
    fprintf(to, " [options]\n\n%s\n%s\narguments:\n", command->summary, command->about ? command->about : "");
    for (size_t i = 0; i < MOST_POSITIONALS && command->positionals[i].name; i++)
        fprintf(to, "  %-*s%s\n", INDENT - 2, command->positionals[i].name, command->positionals[i].help);
    fprintf(to, "\noptions, with their defaults in brackets:\n");
    for (size_t i = 0; (option = command_option(command, i)); i++) print_option(command, option, to);
    fprintf(to, "\nexample:\n  %s\n", command->example);
}

/* "mask=half|random", what it means, and the default. */
static void print_argument(const nf_argument *argument, FILE *to)
{
    char names[200];
    const char *choice =
        argument->registry ? nf_registry_names(argument->registry, "|", names, sizeof names) : argument->choices;
    int width = fprintf(to, "      %s=%s%s", argument->name, choice ? choice : "number",
                        argument->kind == NF_FEATURES ? "|[1,3-5]" : "");
    fprintf(to, "%*s%s ", width < INDENT ? INDENT - width : 2, "", argument->help ? argument->help : "");
    if (argument->initial) {
        fprintf(to, "[%s]\n", argument->initial);
        return;
    }
    if (!choice) {
        fprintf(to, "[%g]\n", argument->value);
        return;
    }
    for (int i = 0; i < (int)argument->value; i++) choice += strcspn(choice, "|") + 1;
    fprintf(to, "[%.*s]\n", (int)strcspn(choice, "|"), choice);
}

/* What formulas and options name, with its arguments and the plug-in that brought it. positional: what stands without a
 * name in its parentheses, or NULL. */
static void print_described(const char *kind, const char *name, const char *positional, const char *help,
                            const nf_argument *argument, FILE *to)
{
    int width = positional ? fprintf(to, "  %s(%s)", name, positional) : fprintf(to, "  %s", name);
    const char *plugin = nf_registry_origin(kind, name, strlen(name));
    fprintf(to, "%*s%s", width < INDENT ? INDENT - width : 2, "", help ? help : "");
    if (plugin) fprintf(to, " (of the plug-in \"%s\")", plugin);
    fprintf(to, "\n");
    for (; argument && argument->name; argument++) print_argument(argument, to);
}

static void print_descriptor(const char *kind, const void *descriptor, FILE *to)
{
    const nf_descriptor *d = descriptor;
    print_described(kind, d->name, NULL, d->help, d->argument, to);
}

static void print_types(const char *kind, const nf_bijector_type *const *type, FILE *to)
{
    for (; *type; type++)
        print_described(kind, (*type)->name, (*type)->positional, (*type)->help, (*type)->argument, to);
}

static const struct {
    const char *form, *help;
} forms[] = {
    {"a-b", "b after a: the first is applied to the sample first"},
    {"a*3", "three copies, each with parameters of its own"},
    {"(a-b)*3", "parentheses group"},
    {"maf(64,64)", "arguments, by position or as name=value"},
    {"invert(a-b)", "the inverse"},
    {"on([1,3-5],a-b)", "a map of these features alone"},
    {"conditional(a-b,32)", "their parameters moved by a network of the context"},
    {"image(8,8,3,a)", "a map of events that are images, height, width and channels (1 where not given)"},
    {"squeeze(a)", "of their blocks of 2 x 2 pixels as channels"},
    {"split(a)", "of the first half of the channels, the others are done: a scale of its own"},
    {"glow(levels=3,steps=4,width=32)", "short for the flow of Kingma & Dhariwal 2018:"},
    {"", "squeeze(split(…)-(coupling(32,32,activation=relu,network=conv)-conv1x1-actnorm)*4)"},
    {"dequantize(a,levels=256)", "last, whole numbers with noise by a, a flow that sees them as its context"},
    {"student:a-b", "a base distribution other than N(0, I)"},
    {"product_of([1,3]:student|[2]:uniform):a", "different ones for different features"},
    {"mixture_of(a|student:b):c", "a mixture of flows as the base distribution"},
};

void help_print_formulas(FILE *to)
{
    fprintf(to, "A formula is a chain of bijectors, which turns samples of a base distribution into data:\n\n");
    for (size_t i = 0; i < sizeof forms / sizeof *forms; i++)
        fprintf(to, "  %-24s  %s\n", forms[i].form, forms[i].help);
    fprintf(to, "\nbijectors, with the defaults of their arguments in brackets:\n");
    print_types("bijector", nf_bijector_types(), to);
    fprintf(to, "\nbase distributions:\n");
    print_types("base distribution", nf_distribution_types(), to);
    fprintf(to, "\nsteps that draw, between bijectors: stochastic normalizing flows, for 'weir vi', towards densities "
                "between the base distribution and the target; '(planar*2-metropolis)*4':\n");
    print_types("step that draws", nf_stochastic_types(), to);
    fprintf(to, "\ntransformers, maps of a feature, for coupling and autoregressive: transformer=affine(bound=2):\n");
    for (const nf_transformer_type *const *type = nf_transformer_types(); *type; type++)
        print_descriptor("transformer", *type, to);
    fprintf(to, "\nnetworks of couplings:\n");
    for (const nf_conditioner_type *const *type = nf_conditioner_types(); *type; type++)
        print_descriptor("conditioner", *type, to);
    fprintf(to, "\nactivations:\n");
    for (const nf_activation_type *const *type = nf_activation_types(); *type; type++)
        print_descriptor("activation", *type, to);
    fprintf(to, "\nexample:\n  weir check '(maf(128,128)-flip)*3' --dim 2\n");
}

void help_print_targets(FILE *to)
{
    fprintf(to,
            "Targets are densities that are known up to a constant. Arguments, with their defaults in brackets, are "
            "given as in formulas: funnel(5), funnel(dim=5).\n\n");
    for (const nf_target_type *const *type = nf_target_types(); *type; type++) {
        print_descriptor("target", *type, to);
        for (const nf_target_column_type *column = (*type)->column; column && column->name; column++)
            fprintf(to, "      --data: %-*s%s%s\n", INDENT - 14, column->name, column->groups ? "groups; " : "",
                    column->help ? column->help : "");
    }
    fprintf(to, ABOUT_TARGETS "\nexample:\n  weir vi 'funnel(dim=5)' --flow scale-loc\n");
}

void help_print_optimizers(FILE *to)
{
    fprintf(to,
            "Optimizers update the parameters w in each step, by the gradient g and the learning rate lr. Arguments, "
            "with their defaults in brackets, are given as in formulas: adam(beta2=0.98).\n\n");
    for (const nf_optimizer_type *const *type = nf_optimizer_types(); *type; type++) {
        print_descriptor("optimizer", *type, to);
        fprintf(to, "      %-*s[%g]\n", INDENT - 6, "--lr", (*type)->learning_rate);
    }
    fprintf(to, "\nexample:\n  weir vi pot1 --optimizer 'momentum(0.95)' --lr 0.001 --clip 1\n");
}

void help_print_schedules(FILE *to)
{
    fprintf(to, "Schedules are what the learning rate is multiplied by, t going from 0 to 1 over the planned steps. "
                "Arguments, with their defaults in brackets, are given as in formulas: exponential(end=0.1).\n\n");
    for (const nf_schedule_type *const *type = nf_schedule_types(); *type; type++)
        print_descriptor("schedule", *type, to);
    fprintf(to, "\nexample:\n  weir vi pot1 --schedule 'steps(count=4,factor=0.5)'\n");
}

void help_print_objectives(FILE *to)
{
    fprintf(to, "Objectives are what 'weir vi' minimises to fit a flow q to a target p.\n\n");
    for (const nf_objective_type *const *type = nf_objective_types(); *type; type++)
        print_descriptor("objective", *type, to);
    fprintf(to, "\nexample:\n  weir vi pot1 --objective iwae --importance 16\n");
}

void help_print_priors(FILE *to)
{
    fprintf(to, "Priors are densities of the numbers w that 'weir fit --prior' trains, of each of them alone: the fit "
                "is for the most probable ones (MAP), by log p of the rows and the prior's log-density, once for all "
                "of them. Where rows have weights, these say how many rows each is. --weight-decay with adamw is "
                "something else: it shrinks w by a part of itself in each step, however many rows there are.\n\n");
    for (const nf_prior_type *const *type = nf_prior_types(); *type; type++) print_descriptor("prior", *type, to);
    fprintf(to, "\nA prior is that of all that is trained, or by names, with * and ?, of which the first that fits "
                "counts: '*.weight*:normal(sd=0.1), *.bias*:laplace'. Names are as 0.maf.weight1, and one that fits "
                "nothing is answered with those that there are. Of a scale, and what else has a constraint, w is the "
                "real number that stands for it.\n\nexample:\n  weir fit moons.npy --flow '(maf(128,128)-flip)*3' "
                "--prior '*.weight*:normal(sd=0.5)' -o moons.safetensors\n");
}
